import Bus
import Registers

/// Accesses to BAR 0 and BAR 1 (SDM 13.2, 13.3), and registers with side effects.
extension E1000State {
  // MARK: BAR 0

  /// Reads a register of 32 bits. A narrower read returns its bytes of the register, and has the same side effects.
  mutating func readMemory(_ access: BusAccess) -> UInt64 {
    guard E1000RegisterFile.contains(access.offset) else { return ~0 }
    let offset = UInt32(truncatingIfNeeded: access.offset)
    var value = UInt64(readRegister(offset & ~3))
    if access.width == 8 {
      let upper = (offset & ~3) + 4
      if E1000RegisterFile.contains(UInt64(upper)) { value |= UInt64(readRegister(upper)) << 32 }
    }
    return value >> UInt64(8 * (offset & 3))
  }

  /// Drops narrow and unaligned writes. A write of eight bytes goes to two registers, as the PCI bus splits it.
  mutating func writeMemory(_ access: BusAccess, _ value: UInt64) {
    guard access.offset & 3 == 0, access.width >= 4, E1000RegisterFile.contains(access.offset) else { return }
    let offset = UInt32(truncatingIfNeeded: access.offset)
    writeMemoryRegister(offset, UInt32(truncatingIfNeeded: value))
    if access.width == 8, E1000RegisterFile.contains(UInt64(offset + 4)) {
      writeMemoryRegister(offset + 4, UInt32(truncatingIfNeeded: value >> 32))
    }
  }

  /// Only writes of tails in BAR 0 count towards showing their page: a write of IODATA cannot use it.
  private mutating func writeMemoryRegister(_ offset: UInt32, _ value: UInt32) {
    acceptWrite(offset, value)
    if offset == E1000Register.tdt || offset == E1000Register.rdt { tailWriteExited(offset) }
  }

  // MARK: BAR 1: IOADDR and IODATA (SDM 13.2.2)

  mutating func readPort(_ access: BusAccess) -> UInt64 {
    switch UInt32(truncatingIfNeeded: access.offset) {
    case E1000Port.ioaddr: return UInt64(portAddress)
    case E1000Port.iodata where access.width == 4:
      guard E1000RegisterFile.contains(UInt64(portAddress)) else { return 0 }
      return UInt64(readRegister(portAddress & ~3))
    default: return 0
    }
  }

  mutating func writePort(_ access: BusAccess, _ value: UInt64) {
    guard access.width == 4 else { return }
    switch UInt32(truncatingIfNeeded: access.offset) {
    case E1000Port.ioaddr: portAddress = UInt32(truncatingIfNeeded: value) & 0x000F_FFFF
    case E1000Port.iodata where E1000RegisterFile.contains(UInt64(portAddress)):
      acceptWrite(portAddress & ~3, UInt32(truncatingIfNeeded: value))
    default: break
    }
  }

  // MARK: Registers

  /// A write that exited, or that KVM held.
  private mutating func acceptWrite(_ offset: UInt32, _ value: UInt32) {
    writeRegister(offset, value)
    showInPage(offset)
  }

  private mutating func readRegister(_ offset: UInt32) -> UInt32 {
    let behaviour = registers.behaviour(offset)
    guard behaviour.contains(.actsOnRead) else { return registers[offset] }
    if behaviour.contains(.statistic) { return registers.readStatistic(offset) }
    switch offset {
    case E1000Register.icr: return interrupts.takeCauses().rawValue
    case E1000Register.ims: return interrupts.mask.rawValue
    case E1000Register.eecd: return eeprom.control
    default: return 0
    }
  }

  mutating func writeRegister(_ offset: UInt32, _ value: UInt32) {
    registers.store(value, at: offset)
    guard registers.behaviour(offset).contains(.actsOnWrite) else { return }
    switch offset {
    case E1000Register.tdt: transmitTailWritten()
    case E1000Register.rdt: receiveRingChanged()
    case E1000Register.icr, E1000Register.ics, E1000Register.ims, E1000Register.imc, E1000Register.itr:
      writeInterruptRegister(offset, value)
    case E1000Register.ctrl: controlWritten(value)
    case E1000Register.mdic: accessPHY(value)
    case E1000Register.eecd: eeprom.writeControl(value)
    case E1000Register.eerd: registers[E1000Register.eerd] = eeprom.readWord(value)
    case E1000Register.rctl, E1000Register.rdbal, E1000Register.rdbah, E1000Register.rdlen, E1000Register.rdh:
      // The held frame may need fewer descriptors now: buffers may be larger, or the ring shorter.
      receiver.neededDescriptors = 1
      receiveRingChanged()
      if offset == E1000Register.rctl, value & E1000ReceiveControl.enable == 0 { hideReceiveTail() }
      // With RCTL.LBM set, the device can send without a link.
      wakeTransmitter()
    case E1000Register.rdtr: if value & E1000ReceiveDelay.flush != 0 { endReceiveDelay() }
    case E1000Register.tdbal, E1000Register.tdbah, E1000Register.tdlen, E1000Register.tdh: transmitEpoch.advance()
    case E1000Register.tctl:
      if value & E1000TransmitControl.enable == 0 { hideTransmitTail() }
      wakeTransmitter()
    case E1000Register.pba:
      // The transmit buffer gets the rest of the 64 KiB packet buffer (SDM 13.4.16).
      let receive = min(value & 0xFFFF, 64)
      registers[E1000Register.pba] = receive | (64 - receive) << 16
    case E1000Register.wus: registers[E1000Register.wus] &= ~value
    default: break
    }
  }

  private mutating func writeInterruptRegister(_ offset: UInt32, _ value: UInt32) {
    let bits = E1000InterruptCause(rawValue: value & 0x0001_FFFF)
    switch offset {
    case E1000Register.icr: interrupts.clear(bits)
    case E1000Register.ics: interrupts.raise(bits)
    case E1000Register.ims: interrupts.enable(bits)
    case E1000Register.imc: interrupts.disable(bits)
    default: interrupts.setInterval(options.interruptModeration ? UInt64(value & 0xFFFF) * 256 : 0)
    }
  }
}
