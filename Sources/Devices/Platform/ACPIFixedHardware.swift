import Bus
import Registers
import Synchronization

/// ACPI's fixed hardware: PM1a event and control blocks at ports 0x600 to 0x605, SCI at IRQ 9 (ACPI 6.4, 4.8.3).
///
/// The machine is always in ACPI mode. Its one fixed event is the power button; its one sleeping state is soft off.
/// Guarded by its one lock; `pressPowerButton` is called on any thread.
public final class ACPIFixedHardware: ByteTarget, @unchecked Sendable {
  private struct State {
    var status: UInt16 = 0
    var enable: UInt16 = 0
    /// SLP_TYPx, in place.
    var sleepType: UInt16 = 0
  }

  private static let enables = ACPIEvent.globalLock | ACPIEvent.powerButton | ACPIEvent.clockAlarm

  private let state = Mutex(State())
  private let line: any InterruptLine
  private let powerOff: @Sendable () -> Void

  /// `line` is IRQ 9, level-triggered; `powerOff` is called on the vCPU's thread when the guest enters S5.
  public init(line: any InterruptLine, powerOff: @escaping @Sendable () -> Void) {
    self.line = line
    self.powerOff = powerOff
  }

  /// Claims ports 0x600 to 0x605 on `bus`.
  public func attach(to bus: Bus) {
    bus.map(
      BusRange(
        "acpi-pm1a", .port, at: UInt64(ACPIFixedRegister.eventBlock), size: byteCount(region: 0), target: self))
  }

  /// The person at the host pressed the power button: PWRBTN_STS, and SCI where the guest enabled it.
  public func pressPowerButton() {
    state.withLock { state in
      state.status |= ACPIEvent.powerButton
      driveLine(state)
    }
  }

  public override func byteCount(region: Int) -> UInt64 {
    UInt64(ACPIFixedRegister.eventLength) + UInt64(ACPIFixedRegister.controlLength)
  }

  public override func readByte(region: Int, offset: UInt64) -> UInt8 {
    let register = state.withLock { state in
      switch offset / 2 {
      case 0: state.status
      case 1: state.enable
      default: state.sleepType | ACPIControl.sciEnable
      }
    }
    return UInt8(truncatingIfNeeded: register >> UInt16(8 * (offset % 2)))
  }

  public override func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    let shift = UInt16(8 * (offset % 2))
    let bits = UInt16(value) << shift
    let kept = ~(UInt16(0xFF) << shift)
    let isOff = state.withLock { state in
      defer { driveLine(state) }
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

  private func driveLine(_ state: State) { line.set(asserted: state.status & state.enable != 0) }
}
