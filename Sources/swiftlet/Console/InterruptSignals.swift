import Dispatch
import Glibc
import Synchronization

/// Signal handlers: SIGINT, SIGTERM and SIGHUP end the run in order, and SIGUSR1 does something else, if wanted.
///
/// If the run does not end, a second signal of the same kind kills the process. SIGHUP stays ignored if it was, as under
/// `nohup`.
// Unchecked: Dispatch's sources are not `Sendable`; only the thread that created this object uses them.
final class InterruptSignals: @unchecked Sendable {
  private static let ending = [SIGINT, SIGTERM, SIGHUP]
  private var sources: [any DispatchSourceSignal] = []
  private var handled: [Int32] = []
  private let received = Atomic<Int32>(0)

  /// - Parameters:
  ///   - end: called for a signal that ends the run. Both run on another thread, never in a signal handler.
  ///   - user: called for SIGUSR1; nil leaves its usual effect.
  init(end: @escaping @Sendable () -> Void, user: (@Sendable () -> Void)? = nil) {
    for number in Self.ending {
      handle(number) { [weak self] in
        guard let self else { return }
        _ = received.compareExchange(expected: 0, desired: number, ordering: .relaxed)
        signal(number, SIG_DFL)
        end()
      }
    }
    if let user { handle(SIGUSR1, user) }
  }

  private func handle(_ number: Int32, _ body: @escaping @Sendable () -> Void) {
    guard number != SIGHUP || !Self.isIgnored(number) else { return }
    signal(number, SIG_IGN)
    handled.append(number)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    source.setEventHandler(handler: body)
    source.activate()
    sources.append(source)
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    sigaction(number, nil, &action)
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// The first signal that ended the run; 0 if there was none.
  var first: Int32 { received.load(ordering: .relaxed) }

  func restore() {
    for source in sources { source.cancel() }
    sources = []
    for number in handled { signal(number, SIG_DFL) }
  }
}
