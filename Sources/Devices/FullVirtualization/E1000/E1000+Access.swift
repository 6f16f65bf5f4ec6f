import Bus
import Registers

/// How BAR 0 and BAR 1 are reached (SDM 13.2, 13.3).
extension E1000 {
  /// Registers answer 32-bit accesses; a narrower read sees its bytes of the register, and acts like a full one.
  func readMemory(_ access: BusAccess) -> UInt64 {
    guard E1000RegisterFile.contains(access.offset) else { return ~0 }
    let offset = UInt32(truncatingIfNeeded: access.offset)
    return lock.withLock { _ in
      var value = UInt64(readRegister(offset & ~3))
      if access.width == 8 {
        let upper = (offset & ~3) + 4
        if E1000RegisterFile.contains(UInt64(upper)) { value |= UInt64(readRegister(upper)) << 32 }
      }
      return value >> UInt64(8 * (offset & 3))
    }
  }

  /// Narrow and unaligned writes are lost; eight bytes are two registers, as the PCI bus splits them.
  func writeMemory(_ access: BusAccess, _ value: UInt64) {
    guard access.offset & 3 == 0, access.width >= 4, E1000RegisterFile.contains(access.offset) else { return }
    let offset = UInt32(truncatingIfNeeded: access.offset)
    lock.withLock { _ in
      writeRegister(offset, UInt32(truncatingIfNeeded: value))
      if access.width == 8, E1000RegisterFile.contains(UInt64(offset + 4)) {
        writeRegister(offset + 4, UInt32(truncatingIfNeeded: value >> 32))
      }
    }
  }

  // MARK: IOADDR and IODATA (SDM 13.2.2)

  func readPort(_ access: BusAccess) -> UInt64 {
    lock.withLock { _ in
      switch UInt32(truncatingIfNeeded: access.offset) {
      case E1000Port.ioaddr: return UInt64(portAddress)
      case E1000Port.iodata where access.width == 4:
        guard E1000RegisterFile.contains(UInt64(portAddress)) else { return 0 }
        return UInt64(readRegister(portAddress & ~3))
      default: return 0
      }
    }
  }

  func writePort(_ access: BusAccess, _ value: UInt64) {
    guard access.width == 4 else { return }
    lock.withLock { _ in
      switch UInt32(truncatingIfNeeded: access.offset) {
      case E1000Port.ioaddr: portAddress = UInt32(truncatingIfNeeded: value) & 0x000F_FFFF
      case E1000Port.iodata where E1000RegisterFile.contains(UInt64(portAddress)):
        writeRegister(portAddress & ~3, UInt32(truncatingIfNeeded: value))
      default: break
      }
    }
  }
}
