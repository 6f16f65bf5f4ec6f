import Bus
import Registers
import Synchronization

/// System control port A: port 0x92, no interrupt. Its fast INIT resets the machine.
///
/// Address line 20 is always enabled. Its bit only reads back the value written; initially it is set, as by firmware.
package final class FastReset: ByteTarget {
  private let fastA20 = Atomic<UInt8>(SystemControlPortA.fastA20)
  private let reset: @Sendable () -> Void

  /// `reset` is called on the vCPU's thread, each time bit 0 is written as 1.
  package init(reset: @escaping @Sendable () -> Void) { self.reset = reset }

  /// Maps port 0x92 on `bus`.
  package func attach(to bus: Bus) {
    bus.map(BusRange("port-92", .port, at: UInt64(SystemControlPortA.port), size: 1, target: self))
  }

  package func readByte(region: Int, offset: UInt64) -> UInt8 { fastA20.load(ordering: .relaxed) }

  package func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    fastA20.store(value & SystemControlPortA.fastA20, ordering: .relaxed)
    if value & SystemControlPortA.fastInit != 0 { reset() }
  }
}
