/// How long a loop polls before it sleeps, in nanoseconds.
///
/// The budget grows while the loop sleeps only briefly, since polling a little longer would have saved the sleep. It goes
/// back to zero after a long sleep, and while other threads want the processor. QEMU's `poll-max-ns` works the same way.
struct PollBudget {
  /// The first budget after zero.
  static let first: UInt64 = 4_000
  /// How long the loop does not poll after another thread took its processor.
  static let backOff: UInt64 = 10_000_000

  /// The largest budget; zero to never poll.
  var limit: UInt64 = 0 {
    didSet { nanoseconds = min(nanoseconds, limit) }
  }
  private(set) var nanoseconds: UInt64 = 0
  private var restsUntil: UInt64 = 0

  /// The loop found nothing for `duration`: it polled as long as the budget allows, and slept for the rest.
  mutating func waited(_ duration: UInt64, now: UInt64) {
    guard duration > nanoseconds, now >= restsUntil else { return }
    nanoseconds = duration > limit ? 0 : min(limit, max(Self.first, nanoseconds * 2))
  }

  /// Another thread took the processor while the loop polled.
  mutating func preempted(now: UInt64) {
    nanoseconds = 0
    restsUntil = now + Self.backOff
  }
}
