import Bus
import Registers

/// The paravirtual panic device (QEMU, docs/specs/pvpanic), by which a guest reports its panic: port 0x505, no
/// interrupt.
///
/// A read returns the supported events. The device has no state.
package final class PanicDevice: ByteTarget {
  private let panicked: @Sendable () -> Void

  /// `panicked` is called on the vCPU's thread when the guest panics, but not when it then starts a crash kernel.
  package init(panicked: @escaping @Sendable () -> Void) { self.panicked = panicked }

  /// Maps port 0x505 on `bus`.
  package func attach(to bus: Bus) {
    bus.map(BusRange("pvpanic", .port, at: UInt64(PanicDeviceRegister.port), size: 1, target: self))
  }

  package func readByte(region: Int, offset: UInt64) -> UInt8 { PanicDeviceRegister.panicked }

  package func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    if value & PanicDeviceRegister.panicked != 0 { panicked() }
  }
}
