import EventLoop
import Foundation
import Machine

/// Standard input as COM1's: what is typed goes to the guest.
final class StandardInput: @unchecked Sendable {
  private let loop: EventLoop
  private var watch: EventLoop.WatchKey?

  init(machine: Machine, loop: EventLoop) {
    self.loop = loop
    // A descriptor that epoll cannot wait for, a file, has nothing to say to a guest.
    watch = try? loop.watch(0) { [weak self, weak machine] in
      var buffer = [UInt8](repeating: 0, count: 256)
      let count = read(0, &buffer, buffer.count)
      if count > 0 {
        machine?.serial.receive(Array(buffer[0..<count]))
      } else if count == 0 {
        self?.close()
      }
    }
  }

  func close() {
    if let watch { loop.remove(watch) }
    watch = nil
  }
}

/// SIGINT and SIGTERM end the machine in order instead of the process at once; SIGUSR1 presses its power button.
final class InterruptSignals {
  private static let numbers = [SIGINT, SIGTERM, SIGUSR1]
  private var sources: [any DispatchSourceSignal] = []

  init(machine: Machine) {
    for number in Self.numbers {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { [weak machine] in
        if number == SIGUSR1 { machine?.pressPowerButton() } else { machine?.stop() }
      }
      source.activate()
      sources.append(source)
    }
  }

  func restore() {
    for source in sources { source.cancel() }
    for number in Self.numbers { signal(number, SIG_DFL) }
  }
}
