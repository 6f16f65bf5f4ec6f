import Bus
import Registers
import Threads

/// RC, the PIIX3's reset control register: the byte at port 0xCF9, no interrupt (82371SB datasheet, RC).
///
/// The port is in the PCI host bridge's range. The bridge forwards byte accesses to this target.
package final class ResetControl: ByteTarget {
  private let register = Guarded<UInt8>(.device, 0)
  private let reset: @Sendable () -> Void

  /// `reset` is called on the vCPU's thread, each time RCPU goes from 0 to 1.
  package init(reset: @escaping @Sendable () -> Void) { self.reset = reset }

  /// Connects the register to port 0xCF9 of `bridge`.
  package func attach(to bridge: PCIHostBridge) { bridge.connectResetControl(self) }

  package func readByte(region: Int, offset: UInt64) -> UInt8 { register.withLock { $0 } }

  package func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    let rises = register.withLock { register in
      let before = register
      register = value & (PIIX3ResetControl.systemReset | PIIX3ResetControl.resetCPU)
      return register & ~before & PIIX3ResetControl.resetCPU != 0
    }
    if rises { reset() }
  }
}
