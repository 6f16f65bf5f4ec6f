import Counters
import Registers

/// Interrupt causes and mask, and the INTA# level that follows from them (SDM 3.2.7, 13.4.17-13.4.21).
///
/// Independent of rings and frames. The other functions change causes and mask; `settle` returns the action for the pin
/// and the ITR timer.
struct E1000Interrupts {
  enum Action: Equatable {
    case none, assert, deassert
    /// ITR allows the assertion after this many nanoseconds.
    case wait(UInt64)
  }

  private(set) var causes: E1000InterruptCause = []
  private(set) var mask: E1000InterruptCause = []
  /// ITR: minimum time between two assertions, in nanoseconds.
  private var interval: UInt64 = 0
  private var isAsserted = false
  private var lastAssertion: UInt64?
  /// Causes, mask or interval changed, or the interval elapsed, since the last call of `settle`.
  private(set) var isUnsettled = false
  /// RXT0 is pending until the delay of RDTR or RADV ends.
  var isReceiveDelayed = false
  /// TXDW is pending until the delay of TIDV or TADV ends.
  var isTransmitDelayed = false

  mutating func raise(_ cause: E1000InterruptCause) {
    causes.formUnion(cause)
    isUnsettled = true
  }

  mutating func clear(_ cause: E1000InterruptCause) {
    causes.subtract(cause)
    isUnsettled = true
  }

  mutating func enable(_ cause: E1000InterruptCause) {
    mask.formUnion(cause)
    isUnsettled = true
  }

  mutating func disable(_ cause: E1000InterruptCause) {
    mask.subtract(cause)
    isUnsettled = true
  }

  mutating func setInterval(_ nanoseconds: UInt64) {
    interval = nanoseconds
    isUnsettled = true
  }

  /// The interval of ITR has elapsed.
  mutating func throttleElapsed() { isUnsettled = true }

  /// Returns the causes and clears them, as a read of ICR does.
  mutating func takeCauses() -> E1000InterruptCause {
    defer { clear(causes) }
    return causes
  }

  /// Resets causes, mask and delays. The pin does not change until `settle`.
  mutating func reset() {
    causes = []
    mask = []
    interval = 0
    lastAssertion = nil
    isReceiveDelayed = false
    isTransmitDelayed = false
    isUnsettled = true
  }

  /// Returns the action that brings the pin in line with causes, mask and ITR. Evaluates `now` only if ITR is in use.
  mutating func settle(now: @autoclosure () -> UInt64) -> Action {
    isUnsettled = false
    let wanted = !causes.isDisjoint(with: mask)
    guard wanted != isAsserted else { return .none }
    if wanted, interval > 0 {
      let now = now()
      if let last = lastAssertion, now &- last < interval { return .wait(interval &- (now &- last)) }
      lastAssertion = now
    }
    isAsserted = wanted
    return wanted ? .assert : .deassert
  }
}

/// The delays before a cause is raised (SDM 3.2.7.1, 3.4.3), and the update of the pin after an access.
extension E1000State {
  /// Nanoseconds of one unit of RDTR, RADV, TIDV and TADV.
  private static var delayUnit: UInt64 { 1_024 }

  /// The delay in `register`, in nanoseconds; 0 for none.
  private func delay(_ register: UInt32) -> UInt64 {
    options.interruptModeration ? UInt64(registers[register] & 0xFFFF) * Self.delayUnit : 0
  }

  /// Computes INTA# at the end of an access.
  ///
  /// - Parameter now: the loop's time, evaluated only if ITR is in use.
  /// - Returns: the new level of INTA#, or nil if it does not change.
  mutating func settlePin(now: @autoclosure () -> UInt64) -> Bool? {
    guard interrupts.isUnsettled else { return nil }
    switch interrupts.settle(now: now()) {
    case .none: return nil
    case .assert:
      counters.add(.interrupts)
      return true
    case .deassert: return false
    case .wait(let delay):
      effects.set(.throttle, after: delay)
      return nil
    }
  }

  /// Packets were stored: raises RXT0 now, or starts the delays of RDTR and RADV.
  mutating func receiveInterruptDue() {
    let delay = delay(E1000Register.rdtr)
    guard delay > 0 else { return endReceiveDelay(raising: .receiverTimer) }
    effects.set(.receiveDelay, after: delay)
    let limit = self.delay(E1000Register.radv)
    if !interrupts.isReceiveDelayed, limit > 0 { effects.set(.receiveLimit, after: limit) }
    interrupts.isReceiveDelayed = true
  }

  /// Ends the receive delay: raises RXT0 if it is pending, and `cause` in any case.
  mutating func endReceiveDelay(raising cause: E1000InterruptCause = []) {
    var causes = cause
    if interrupts.isReceiveDelayed {
      interrupts.isReceiveDelayed = false
      effects.cancel(.receiveDelay)
      effects.cancel(.receiveLimit)
      causes.insert(.receiverTimer)
    }
    if !causes.isEmpty { interrupts.raise(causes) }
  }

  /// Descriptors with RS were written back: raises TXDW now, or starts the delays of TIDV and TADV if `delayed`.
  ///
  /// - Parameter delayed: all of these descriptors had IDE set.
  mutating func transmitInterruptDue(delayed: Bool) {
    let delay = delayed ? delay(E1000Register.tidv) : 0
    guard delay > 0 else {
      endTransmitDelay()
      return interrupts.raise(.transmitDescriptorWrittenBack)
    }
    effects.set(.transmitDelay, after: delay)
    let limit = self.delay(E1000Register.tadv)
    if !interrupts.isTransmitDelayed, limit > 0 { effects.set(.transmitLimit, after: limit) }
    interrupts.isTransmitDelayed = true
  }

  /// Ends the transmit delay: raises TXDW if it is pending.
  mutating func endTransmitDelay() {
    guard interrupts.isTransmitDelayed else { return }
    interrupts.isTransmitDelayed = false
    effects.cancel(.transmitDelay)
    effects.cancel(.transmitLimit)
    interrupts.raise(.transmitDescriptorWrittenBack)
  }
}
