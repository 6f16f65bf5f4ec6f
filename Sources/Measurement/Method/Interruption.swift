import Threads

/// A request to end a run early, such as from a signal. The sample under way ends at once where it can.
package final class Interruption: Sendable {
  private struct State {
    var isRequested = false
    var interrupters: [@Sendable () -> Void] = []
  }
  private let state = Guarded(.leaf, State())

  package init() {}

  package var isRequested: Bool { state.withLock { $0.isRequested } }

  /// Ends the run. Any thread may call it, except in a signal handler.
  package func request() {
    let interrupters = state.withLock { state in
      state.isRequested = true
      return state.interrupters
    }
    for interrupt in interrupters { interrupt() }
  }

  /// Runs `body`, which `interrupters` can end early.
  func during<Value>(_ interrupters: [@Sendable () -> Void], _ body: () throws -> Value) throws -> Value {
    try state.withLock { state in
      guard !state.isRequested else { throw Interrupted() }
      state.interrupters = interrupters
    }
    defer { state.withLock { $0.interrupters = [] } }
    do {
      return try body()
    } catch {
      // A sample that was interrupted fails in a way that says nothing about the guest.
      throw isRequested ? Interrupted() : error
    }
  }
}

/// The run was interrupted; what was measured so far is kept.
package struct Interrupted: Error {}
