import Bus
import Registers

/// The paravirtual panic device (QEMU, docs/specs/pvpanic) by which a dying guest says so: port 0x505, no interrupt.
///
/// Reading tells the events it knows. Has no state; the closure is called on the vCPU's thread.
package final class PanicDevice: ByteTarget {
  private let panicked: @Sendable () -> Void

  /// `panicked` is called when the guest is dead. One that goes on with a crash kernel has nothing to tell.
  package init(panicked: @escaping @Sendable () -> Void) { self.panicked = panicked }

  /// Claims port 0x505 on `bus`.
  package func attach(to bus: Bus) {
    bus.map(BusRange("pvpanic", .port, at: UInt64(PanicDeviceRegister.port), size: 1, target: self))
  }

  package func readByte(region: Int, offset: UInt64) -> UInt8 { PanicDeviceRegister.panicked }

  package func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    if value & PanicDeviceRegister.panicked != 0 { panicked() }
  }
}
