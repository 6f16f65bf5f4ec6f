import CLinux
import Failures
import Glibc
import Synchronization
import Threads

/// Signal handlers: SIGINT, SIGTERM and SIGHUP end the run in order, and SIGUSR1 does something else, if wanted.
///
/// If the run does not end, a second signal of the same kind kills the process. SIGHUP stays ignored if it was, as under
/// `nohup`. A handler only signals an event; a thread of this object does the rest, so it may lock and allocate.
final class InterruptSignals: Sendable {
  private struct Handled {
    let number: Int32
    let event: EventDescriptor
    let body: @Sendable () -> Void
  }
  private let handled: [Handled]
  private let wake: EventDescriptor
  private let received = Atomic<Int32>(0)
  private let isEnding = Atomic(false)
  private let thread = Guarded<BackgroundThread?>(.leaf, nil)

  /// - Parameters:
  ///   - end: called for a signal that ends the run. Both run on another thread, never in a signal handler.
  ///   - user: called for SIGUSR1; nil leaves its usual effect.
  ///   - preparing: the first work of that thread.
  init(
    end: @escaping @Sendable () -> Void, user: (@Sendable () -> Void)? = nil, preparing: (@Sendable () -> Void)? = nil
  ) throws(Failure) {
    wake = try EventDescriptor()
    var handled: [Handled] = []
    for number in [SIGINT, SIGTERM, SIGHUP] where number != SIGHUP || !Self.isIgnored(number) {
      handled.append(Handled(number: number, event: try EventDescriptor(), body: end))
    }
    if let user { handled.append(Handled(number: SIGUSR1, event: try EventDescriptor(), body: user)) }
    self.handled = handled
    for signal in handled { clinux_signal_event(signal.number, signal.event.descriptor) }
    let thread = BackgroundThread { [self] in
      preparing?()
      run()
    }
    self.thread.withLock { $0 = thread }
    thread.start()
  }

  private func run() {
    for signal in handled { clinux_unblock_signal(signal.number) }
    var descriptors = ([wake] + handled.map(\.event)).map {
      pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0)
    }
    while !isEnding.load(ordering: .acquiring) {
      guard poll(&descriptors, nfds_t(descriptors.count), -1) > 0 else { continue }
      for signal in handled where signal.event.drain() { take(signal) }
    }
  }

  private func take(_ signal: Handled) {
    if signal.number != SIGUSR1 {
      _ = received.compareExchange(expected: 0, desired: signal.number, ordering: .relaxed)
      Glibc.signal(signal.number, SIG_DFL)
    }
    signal.body()
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    sigaction(number, nil, &action)
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// The first signal that ended the run; 0 if there was none.
  var first: Int32 { received.load(ordering: .relaxed) }

  /// Gives the signals their usual effect again, and ends the thread.
  func restore() {
    for signal in handled { Glibc.signal(signal.number, SIG_DFL) }
    isEnding.store(true, ordering: .releasing)
    wake.signal()
    let thread = thread.withLock { $0.take() }
    thread?.join()
  }
}
