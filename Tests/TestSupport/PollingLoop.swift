@testable import EventLoop

extension EventLoop {
  /// Polls from the next turn on for up to `limit` nanoseconds, as after many short sleeps. For a loop without a thread.
  package func beginPolling(limit: UInt64) {
    pollLimit = limit
    // A turn before may have been preempted, and rest.
    polling.budget = PollBudget()
    polling.budget.limit = limit
    while polling.budget.nanoseconds < limit { polling.budget.waited(limit, now: 0) }
  }
}
