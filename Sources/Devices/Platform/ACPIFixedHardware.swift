import Bus
import EventLoop
import Registers
import Threads

/// ACPI's fixed hardware: PM1a event and control blocks at ports 0x600 to 0x605, the PM timer after them, SCI at IRQ 9
/// (ACPI 6.4, 4.8.3).
///
/// The machine is always in ACPI mode. The fixed events are the power button and the PM timer's carry; the only
/// sleeping state is soft off. Carries are computed on access. A timer of the loop runs only while the guest has
/// enabled the carry's interrupt. One lock guards the state; `pressPowerButton` may be called on any thread.
package final class ACPIFixedHardware: ByteTarget, Device {
  private struct State {
    var status: UInt16 = 0
    var enable: UInt16 = 0
    /// SLP_TYPx, at its position in PM1_CNT.
    var sleepType: UInt16 = 0
    /// Number of the PM timer's carries that `status` already includes.
    var carries: UInt64
  }

  private static let enables = ACPIEvent.timer | ACPIEvent.globalLock | ACPIEvent.powerButton | ACPIEvent.clockAlarm

  private let state: Guarded<State>
  private let line: any InterruptLine
  private let loop: EventLoop
  private let counter: PowerManagementTimer
  private let carryTimer = Guarded<LoopTimer?>(.timers, nil)
  private let powerOff: @Sendable () -> Void

  /// `line` is IRQ 9, level-triggered; `powerOff` is called on the vCPU's thread when the guest enters S5.
  package init(line: any InterruptLine, loop: EventLoop, powerOff: @escaping @Sendable () -> Void) {
    self.line = line
    self.loop = loop
    self.powerOff = powerOff
    counter = PowerManagementTimer(clock: loop.clock)
    state = Guarded(.device, State(carries: counter.carries))
    let made = loop.makeTimer { [weak self] in
      guard let self else { return }
      self.state.withLock { self.updateEvents(&$0) }
    }
    carryTimer.withLock { $0 = made }
  }

  /// Removes the timer from its loop; no carry interrupts afterwards. Safe to call twice.
  package func detach() {
    let timer = carryTimer.withLock { timer in
      defer { timer = nil }
      return timer
    }
    guard let timer else { return }
    timer.cancel()
    loop.remove(timer)
  }

  /// Maps ports 0x600 to 0x605 and 0x608 to 0x60B on `bus`.
  package func attach(to bus: Bus) {
    counter.attach(to: bus)
    bus.map(
      BusRange(
        "acpi-pm1a", .port, at: UInt64(ACPIFixedRegister.eventBlock), size: byteCount(region: 0), target: self))
  }

  /// Presses the power button: sets PWRBTN_STS, and raises SCI if the guest enabled it.
  package func pressPowerButton() {
    state.withLock { state in
      state.status |= ACPIEvent.powerButton
      updateEvents(&state)
    }
  }

  package func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    access.offset < 2 ? "PM1_STS" : access.offset < 4 ? "PM1_EN" : "PM1_CNT"
  }

  package func byteCount(region: Int) -> UInt64 {
    UInt64(ACPIFixedRegister.eventLength) + UInt64(ACPIFixedRegister.controlLength)
  }

  package func readByte(region: Int, offset: UInt64) -> UInt8 {
    let register = state.withLock { state in
      updateEvents(&state)
      return switch offset / 2 {
      case 0: state.status
      case 1: state.enable
      default: state.sleepType | ACPIControl.sciEnable
      }
    }
    return UInt8(truncatingIfNeeded: register >> UInt16(8 * (offset % 2)))
  }

  package func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    let shift = UInt16(8 * (offset % 2))
    let bits = UInt16(value) << shift
    let kept = ~(UInt16(0xFF) << shift)
    let isOff = state.withLock { state in
      // The write applies after all earlier carries, so that it can clear them.
      updateEvents(&state)
      defer { updateEvents(&state) }
      switch offset / 2 {
      case 0: state.status &= ~bits
      case 1: state.enable = state.enable & kept | bits & Self.enables
      default:
        state.sleepType = state.sleepType & kept | bits & ACPIControl.sleepTypeMask
        return bits & ACPIControl.sleepEnable != 0
          && state.sleepType == UInt16(ACPIFixedRegister.sleepTypeS5) << ACPIControl.sleepTypeShift
      }
      return false
    }
    if isOff { powerOff() }
  }

  /// Records carries of the PM timer, drives the line, and sets the timer if the next carry will interrupt.
  private func updateEvents(_ state: inout State) {
    let carries = counter.carries
    if carries != state.carries { state.status |= ACPIEvent.timer }
    state.carries = carries
    line.set(asserted: state.status & state.enable != 0)
    if state.enable & ~state.status & ACPIEvent.timer != 0 {
      carryTimer.withLock { $0?.set(after: counter.untilCarry) }
    }
  }
}
