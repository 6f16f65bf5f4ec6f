import CLinux

/// How much of a run is left, in samples and in seconds.
package struct RunProgress: Sendable {
  /// All samples, and those taken or known.
  package private(set) var total = 0
  package private(set) var done = 0
  /// Seconds by the plan: of all, and of what is done.
  private var planned = 0.0
  private var spent = 0.0
  private var start: UInt64 = 0

  /// Adds `samples` that are still to be taken, of `count`, and will take `cost` seconds by the plan.
  mutating func add(_ samples: Int, of count: Int, cost: Double) {
    total += count
    done += count - samples
    planned += cost
  }

  /// The run begins now.
  mutating func begin() { start = clinux_monotonic_ns() }

  /// `samples` were taken or given up.
  mutating func spend(_ samples: Int, cost: Double) {
    done += samples
    spent += cost
  }

  /// Seconds that the rest will take, if the plan is as wrong for it as it was so far.
  package var secondsLeft: Double {
    let left = max(0, planned - spent)
    let elapsed = Double(clinux_monotonic_ns() &- start) / 1e9
    return spent > 0 ? left * elapsed / spent : left
  }
}
