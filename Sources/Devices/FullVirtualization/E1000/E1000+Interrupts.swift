import Counters
import EventLoop
import Registers

/// Causes, the pin and the delays before both (SDM 3.2.7, 3.4.3).
extension E1000 {
  /// Nanoseconds of one unit of RDTR, RADV, TIDV and TADV.
  private static var delayUnit: UInt64 { 1_024 }

  // MARK: With the lock held

  func raise(_ cause: E1000InterruptCause) {
    interrupts.raise(cause)
    updatePin()
  }

  /// Lets the pin follow causes, mask and ITR.
  func updatePin() {
    let now = interrupts.interval > 0 && interrupts.isDue ? loop.clock.now : 0
    switch interrupts.settle(now: now) {
    case .none: break
    case .assert:
      counters.add(.interrupts)
      setPin(asserted: true)
    case .deassert: setPin(asserted: false)
    case .wait(let delay): set(.throttle, after: delay)
    }
  }

  /// The delay that `register` asks for, in nanoseconds; 0 for none.
  private func delay(_ register: UInt32) -> UInt64 {
    options.interruptModeration ? UInt64(registers[register] & 0xFFFF) * Self.delayUnit : 0
  }

  /// Packets were stored: RXT0 now, or as RDTR and RADV say.
  func receiveInterruptDue() {
    let delay = delay(E1000Register.rdtr)
    guard delay > 0 else { return flushReceiveDelay(raising: .receiverTimer) }
    set(.receiveDelay, after: delay)
    let limit = self.delay(E1000Register.radv)
    if !receiver.isInterruptDelayed, limit > 0 { set(.receiveLimit, after: limit) }
    receiver.isInterruptDelayed = true
  }

  /// Ends the receive delay: raises RXT0 if packets waited for it, and `cause` in any case.
  func flushReceiveDelay(raising cause: E1000InterruptCause = []) {
    var causes = cause
    if receiver.isInterruptDelayed {
      receiver.isInterruptDelayed = false
      set(.receiveDelay, after: nil)
      set(.receiveLimit, after: nil)
      causes.insert(.receiverTimer)
    }
    if !causes.isEmpty { raise(causes) }
  }

  /// Descriptors with RS were written back: TXDW now, or as TIDV and TADV say when all had IDE.
  func transmitInterruptDue(delayed: Bool) {
    let delay = delayed ? delay(E1000Register.tidv) : 0
    guard delay > 0 else { return endTransmitDelay() }
    set(.transmitDelay, after: delay)
    let limit = self.delay(E1000Register.tadv)
    if !transmitDelayed, limit > 0 { set(.transmitLimit, after: limit) }
    transmitDelayed = true
  }

  private func endTransmitDelay() {
    if transmitDelayed {
      transmitDelayed = false
      set(.transmitDelay, after: nil)
      set(.transmitLimit, after: nil)
    }
    raise(.transmitDescriptorWrittenBack)
  }

  // MARK: On the loop, without the lock

  func throttleElapsed() { lock.withLock { _ in updatePin() } }
  func receiveDelayElapsed() { lock.withLock { _ in flushReceiveDelay() } }
  func transmitDelayElapsed() { lock.withLock { _ in if transmitDelayed { endTransmitDelay() } } }
}
