import Registers

/// What the 82540EM does between a cause and the INTA# pin (SDM 3.2.7, 13.4.17-13.4.21).
///
/// Guarded by the device's lock; knows nothing of rings or frames, and says what to do with pin and timer.
struct E1000Interrupts {
  enum Action: Equatable {
    case none, assert, deassert
    /// The pin may be asserted in so many nanoseconds.
    case wait(UInt64)
  }

  private(set) var causes: E1000InterruptCause = []
  private(set) var mask: E1000InterruptCause = []
  /// The least time between two assertions, in nanoseconds.
  var interval: UInt64 = 0
  private var isAsserted = false
  private var lastAssertion: UInt64?

  mutating func raise(_ cause: E1000InterruptCause) { causes.formUnion(cause) }
  mutating func clear(_ cause: E1000InterruptCause) { causes.subtract(cause) }
  mutating func enable(_ cause: E1000InterruptCause) { mask.formUnion(cause) }
  mutating func disable(_ cause: E1000InterruptCause) { mask.subtract(cause) }

  /// ICR: the causes, which reading clears.
  mutating func takeCauses() -> E1000InterruptCause {
    defer { causes = [] }
    return causes
  }

  mutating func reset() {
    causes = []
    mask = []
    interval = 0
    lastAssertion = nil
  }

  /// Whether an assertion is due, for which `settle` needs the time.
  var isDue: Bool { !isAsserted && !causes.isDisjoint(with: mask) }

  /// What the pin has to follow now that causes, mask or time changed. `now` matters only with an interval.
  mutating func settle(now: UInt64) -> Action {
    let wanted = !causes.isDisjoint(with: mask)
    guard wanted != isAsserted else { return .none }
    if wanted, interval > 0 {
      if let last = lastAssertion, now &- last < interval { return .wait(interval &- (now &- last)) }
      lastAssertion = now
    }
    isAsserted = wanted
    return wanted ? .assert : .deassert
  }
}
