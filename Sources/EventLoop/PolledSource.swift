/// A word in memory that another side advances, such as a virtqueue's available index or the tail of a completion ring.
///
/// The loop may look at it again and again instead of sleeping until a descriptor is signalled. It starts armed. All
/// calls come on the loop's thread.
public protocol PolledSource: AnyObject, Sendable {
  /// Whether there is work. It reads memory only: no system call, no lock.
  func check() -> Bool

  /// Does the work that `check` saw.
  func serve()

  /// The loop will sleep: from now on the other side must signal.
  ///
  /// - Returns: whether work arrived before that took effect. No signal reports it, so the loop serves it.
  func arm() -> Bool

  /// The loop polls: from now on the other side need not signal.
  func disarm()
}
