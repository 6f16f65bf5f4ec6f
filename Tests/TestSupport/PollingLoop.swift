@testable import EventLoop

extension EventLoop {
  /// Polls from the next turn on, as after a short sleep. For a loop without a thread.
  package func beginPolling(limit: UInt64) {
    pollLimit = limit
    polling.budget.limit = limit
    polling.budget.waited(1, now: 0)
  }
}
