import CLinux
import Failures
import Glibc
import Threads

/// Holds all threads of the process back until each has its filter, so that no guest runs beside an unconfined thread.
public final class ThreadConfinement: Sendable {
  private let sandbox: Sandbox
  private struct State {
    var entered = 0
    var failure: Failure?
  }
  private let state = Guarded(.leaf, State())
  private let gate = Latch()
  /// How long `release` waits for the other threads, in nanoseconds.
  private let patience: UInt64

  public init(_ sandbox: Sandbox, patience: UInt64 = 10_000_000_000) {
    self.sandbox = sandbox
    self.patience = patience
  }

  /// The first work of a thread of `kind`: confines it, and waits for `release`.
  public func entering(_ kind: ThreadKind) -> @Sendable () -> Void {
    { [self] in
      let failure = confine(kind)
      state.withLock { state in
        state.entered += 1
        state.failure = state.failure ?? failure
      }
      gate.wait()
    }
  }

  private func confine(_ kind: ThreadKind) -> Failure? {
    do throws(Failure) {
      try sandbox.confineThread(as: kind)
      return nil
    } catch {
      return error
    }
  }

  /// Waits until all other threads of the process have entered, confines the calling thread as the main one, and lets the
  /// others continue.
  ///
  /// - Throws: `Failure` if a thread could not be confined, or if the process has a thread that did not enter. The others
  ///   then still wait, for `open`.
  public func release() throws(Failure) {
    let limit = clinux_monotonic_ns() &+ patience
    while let threads = sandbox.threadCount, threads - 1 != state.withLock({ $0.entered }) {
      guard clinux_monotonic_ns() < limit else {
        throw Failure(
          "confine this process",
          cause: "\(state.withLock { $0.entered }) of its \(threads - 1) further threads are confined",
          fix: Sandbox.withoutIt)
      }
      usleep(100)
    }
    if let failure = state.withLock({ $0.failure }) { throw failure }
    try sandbox.confineThread(as: .main)
    open()
  }

  /// Lets the threads continue. After a failure, stop the machine first.
  public func open() { gate.open() }
}
