import Bus
import EventLoop
import Registers

/// ACPI's PM timer: a counter of 32 bits at port 0x608 that runs at 3.579545 MHz (ACPI 6.4, 4.8.3.3), no interrupt of its own.
///
/// It is the loop's clock in other units, so it has no state. `ACPIFixedHardware` shows its carries as events.
package final class PowerManagementTimer: BusTarget {
  private static let frequency: UInt64 = 3_579_545
  private static let second: UInt64 = 1_000_000_000

  private let clock: any LoopClock

  package init(clock: any LoopClock) { self.clock = clock }

  /// Claims ports 0x608 to 0x60B on `bus`.
  package func attach(to bus: Bus) {
    bus.map(
      BusRange(
        "acpi-pm-timer", .port, at: UInt64(ACPIFixedRegister.timerBlock), size: UInt64(ACPIFixedRegister.timerLength),
        target: self))
  }

  /// The counter. Bytes of one access are of one moment; what reaches beyond the register reads as ones.
  package func read(_ access: BusAccess) -> UInt64 {
    guard access.offset < 4 else { return ~0 }
    return (ticks & 0xFFFF_FFFF | ~0xFFFF_FFFF) >> (8 * access.offset) | ~(~0 >> (8 * access.offset))
  }

  /// The counter is read-only.
  package func write(_ access: BusAccess, _ value: UInt64) {}

  /// Ticks since the clock's start, beyond 32 bits.
  private var ticks: UInt64 {
    let product = clock.now.multipliedFullWidth(by: Self.frequency)
    return Self.second.dividingFullWidth(product).quotient
  }

  /// How often bit 31 has changed since the clock's start.
  var carries: UInt64 { ticks >> 31 }

  /// Nanoseconds until bit 31 changes next, at most some too many.
  var untilCarry: UInt64 {
    let left = (1 << 31) - ticks & 0x7FFF_FFFF
    return (left * Self.second).dividedRoundingUp(by: Self.frequency)
  }
}

extension UInt64 {
  fileprivate func dividedRoundingUp(by divisor: UInt64) -> UInt64 { (self + divisor - 1) / divisor }
}
