import Dispatch
import Glibc
import Machine
import Synchronization

/// Signal handlers: SIGINT, SIGTERM and SIGHUP shut the machine down in order, and SIGUSR1 presses its power button.
// Unchecked: Dispatch's sources are not `Sendable`; only the thread that created this object uses them.
final class InterruptSignals: @unchecked Sendable {
  private static let numbers = [SIGINT, SIGTERM, SIGHUP, SIGUSR1]
  private var sources: [any DispatchSourceSignal] = []
  private let ended = Atomic(false)

  init(machine: Machine) {
    for number in Self.numbers {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { [weak self, weak machine] in
        if number == SIGUSR1 {
          machine?.pressPowerButton()
        } else {
          self?.ended.store(true, ordering: .relaxed)
          machine?.stop()
        }
      }
      source.activate()
      sources.append(source)
    }
  }

  /// Whether a signal that ends the machine has arrived.
  var hasEnded: Bool { ended.load(ordering: .relaxed) }

  func restore() {
    for source in sources { source.cancel() }
    sources = []
    for number in Self.numbers { signal(number, SIG_DFL) }
  }
}
