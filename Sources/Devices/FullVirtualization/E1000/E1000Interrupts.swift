import Counters
import Registers

/// What the 82540EM does between a cause and the INTA# pin (SDM 3.2.7, 13.4.17-13.4.21).
///
/// It knows nothing of rings or frames. Its functions change causes and mask; `settle` then says what pin and timer do.
struct E1000Interrupts {
  enum Action: Equatable {
    case none, assert, deassert
    /// The pin may be asserted in so many nanoseconds.
    case wait(UInt64)
  }

  private(set) var causes: E1000InterruptCause = []
  private(set) var mask: E1000InterruptCause = []
  /// ITR: the least time between two assertions, in nanoseconds.
  private var interval: UInt64 = 0
  private var isAsserted = false
  private var lastAssertion: UInt64?
  /// Causes, mask or time changed since `settle` was last called.
  private(set) var isUnsettled = false
  /// Stored packets wait for RDTR or RADV to interrupt.
  var isReceiveDelayed = false
  /// Sent packets wait for TIDV or TADV to interrupt.
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

  /// The time that ITR asked for is over.
  mutating func throttleElapsed() { isUnsettled = true }

  /// ICR: the causes, which reading clears.
  mutating func takeCauses() -> E1000InterruptCause {
    defer { clear(causes) }
    return causes
  }

  /// What a reset does. The pin stays asserted until `settle`.
  mutating func reset() {
    causes = []
    mask = []
    interval = 0
    lastAssertion = nil
    isReceiveDelayed = false
    isTransmitDelayed = false
    isUnsettled = true
  }

  /// What the pin has to do to follow causes, mask and ITR. `now` is read only where ITR matters.
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

/// The delays before a cause (SDM 3.2.7.1, 3.4.3), and the pin at the end of an access.
extension E1000State {
  /// Nanoseconds of one unit of RDTR, RADV, TIDV and TADV.
  private static var delayUnit: UInt64 { 1_024 }

  /// The delay that `register` asks for, in nanoseconds; 0 for none.
  private func delay(_ register: UInt32) -> UInt64 {
    options.interruptModeration ? UInt64(registers[register] & 0xFFFF) * Self.delayUnit : 0
  }

  /// Lets the pin follow causes, mask and ITR, at the end of an access.
  ///
  /// - Parameter now: the loop's time, which is read only where ITR matters.
  /// - Returns: the new level of INTA#; nil where it stays.
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

  /// Packets were stored: raises RXT0 now, or as RDTR and RADV say.
  mutating func receiveInterruptDue() {
    let delay = delay(E1000Register.rdtr)
    guard delay > 0 else { return endReceiveDelay(raising: .receiverTimer) }
    effects.set(.receiveDelay, after: delay)
    let limit = self.delay(E1000Register.radv)
    if !interrupts.isReceiveDelayed, limit > 0 { effects.set(.receiveLimit, after: limit) }
    interrupts.isReceiveDelayed = true
  }

  /// Ends the receive delay: raises RXT0 if packets waited for it, and `cause` in any case.
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

  /// Descriptors with RS were written back: raises TXDW now, or as TIDV and TADV say when all had IDE.
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

  /// Ends the transmit delay: raises TXDW if packets waited for it.
  mutating func endTransmitDelay() {
    guard interrupts.isTransmitDelayed else { return }
    interrupts.isTransmitDelayed = false
    effects.cancel(.transmitDelay)
    effects.cancel(.transmitLimit)
    interrupts.raise(.transmitDescriptorWrittenBack)
  }
}
