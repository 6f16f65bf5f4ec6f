import Bus
import EventLoop
import Registers

/// ACPI's PM timer: a 32-bit counter at port 0x608 that runs at 3.579545 MHz (ACPI 6.4, 4.8.3.3).
///
/// It is the loop's clock in other units, so it has no state. `ACPIFixedHardware` reports its carries as events.
package final class PowerManagementTimer: BusTarget {
  private static let frequency: UInt64 = 3_579_545
  private static let second: UInt64 = 1_000_000_000

  private let clock: any LoopClock

  package init(clock: any LoopClock) { self.clock = clock }

  /// Maps ports 0x608 to 0x60B on `bus`.
  package func attach(to bus: Bus) {
    bus.map(
      BusRange(
        "acpi-pm-timer", .port, at: UInt64(ACPIFixedRegister.timerBlock), size: UInt64(ACPIFixedRegister.timerLength),
        target: self))
  }

  /// The counter. All bytes of an access come from the same moment. Bytes past the register read as ones.
  package func read(_ access: BusAccess) -> UInt64 {
    guard access.offset < 4 else { return ~0 }
    return (ticks & 0xFFFF_FFFF | ~0xFFFF_FFFF) >> (8 * access.offset) | ~(~0 >> (8 * access.offset))
  }

  /// Does nothing: the counter is read-only.
  package func write(_ access: BusAccess, _ value: UInt64) {}

  /// Ticks since the clock's start, in 64 bits.
  private var ticks: UInt64 {
    let product = clock.now.multipliedFullWidth(by: Self.frequency)
    return Self.second.dividingFullWidth(product).quotient
  }

  /// Number of changes of bit 31 since the clock's start.
  var carries: UInt64 { ticks >> 31 }

  /// Nanoseconds until the next change of bit 31. May be too long by about a tick, but is never too short.
  var untilCarry: UInt64 {
    let left = (1 << 31) - ticks & 0x7FFF_FFFF
    return (left * Self.second).dividedRoundingUp(by: Self.frequency)
  }
}

extension UInt64 {
  fileprivate func dividedRoundingUp(by divisor: UInt64) -> UInt64 { (self + divisor - 1) / divisor }
}
