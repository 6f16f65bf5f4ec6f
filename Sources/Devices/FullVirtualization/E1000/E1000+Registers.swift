import Registers

/// The registers that do more than hold a value. All functions need the lock.
extension E1000 {
  func readRegister(_ offset: UInt32) -> UInt32 {
    let behaviour = registers.behaviour(offset)
    guard behaviour.contains(.actsOnRead) else { return registers[offset] }
    if behaviour.contains(.statistic) { return registers.readStatistic(offset) }
    switch offset {
    case E1000Register.icr:
      let causes = interrupts.takeCauses()
      updatePin()
      return causes.rawValue
    case E1000Register.ims: return interrupts.mask.rawValue
    case E1000Register.eecd: return eeprom.control
    default: return 0
    }
  }

  func writeRegister(_ offset: UInt32, _ value: UInt32) {
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
      // Buffers may be larger now, or the ring shorter than what the held frame wanted.
      receiver.neededDescriptors = 1
      receiveRingChanged()
      // RCTL.LBM lets frames go without a link.
      wakeTransmitter()
    case E1000Register.rdtr: if value & E1000ReceiveDelay.flush != 0 { flushReceiveDelay() }
    case E1000Register.tdbal, E1000Register.tdbah, E1000Register.tdlen, E1000Register.tdh: transmitRingTaken()
    case E1000Register.tctl: wakeTransmitter()
    case E1000Register.pba:
      // The 64 KiB packet buffer is shared out (SDM 13.4.16).
      let receive = min(value & 0xFFFF, 64)
      registers[E1000Register.pba] = receive | (64 - receive) << 16
    case E1000Register.wus: registers[E1000Register.wus] &= ~value
    default: break
    }
  }

  private func transmitRingTaken() { transmitEpoch.advance() }

  private func writeInterruptRegister(_ offset: UInt32, _ value: UInt32) {
    let bits = E1000InterruptCause(rawValue: value & 0x0001_FFFF)
    switch offset {
    case E1000Register.icr: interrupts.clear(bits)
    case E1000Register.ics: interrupts.raise(bits)
    case E1000Register.ims: interrupts.enable(bits)
    case E1000Register.imc: interrupts.disable(bits)
    default: interrupts.interval = options.interruptModeration ? UInt64(value & 0xFFFF) * 256 : 0
    }
    updatePin()
  }

  // MARK: CTRL, link and PHY (SDM 13.4.1, 13.4.2, 13.4.6)

  /// Puts everything but the EEPROM, the PHY's cable and PBA to its reset value.
  func reset(powerOn: Bool) {
    registers.reset(powerOn: powerOn)
    let address = eeprom.receiveAddress
    registers[E1000Register.ral0] = address.low
    registers[E1000Register.rah0] = address.high
    interrupts.reset()
    transmitRingTaken()
    transmitDelayed = false
    receiver.reset()
    for timer in [Timer.throttle, .receiveDelay, .receiveLimit, .transmitDelay, .transmitLimit] {
      set(timer, after: nil)
    }
    showLink()
    updatePin()
  }

  private func controlWritten(_ value: UInt32) {
    if value & E1000Control.reset != 0 { return reset(powerOn: false) }
    if value & E1000Control.phyReset != 0 { phy.reset() }
    updateLink()
  }

  var hasLink: Bool {
    let control = registers[E1000Register.ctrl]
    return phy.hasLink && control & E1000Control.setLinkUp != 0 && control & E1000Control.phyReset == 0
  }

  /// Frames go from the transmitter straight to the receiver (RCTL.LBM, PHY register 0 bit 14).
  var isLoopback: Bool { phy.isLoopback || registers[E1000Register.rctl] & E1000ReceiveControl.loopbackMask != 0 }

  /// Takes STATUS.LU after the link and tells the guest.
  func updateLink() {
    let before = registers[E1000Register.status] & E1000Status.linkUp != 0
    showLink()
    guard before != hasLink else { return }
    if before { phy.linkLost() }
    raise(.linkStatusChange)
    wakeTransmitter()
  }

  /// SPEED and FD are the PHY's, or what CTRL forces; ASDV is the PHY's (SDM 13.4.2).
  private func showLink() {
    let control = registers[E1000Register.ctrl]
    let mode = phy.mode ?? E1000PHY.Mode(speed: 2, isFullDuplex: true)
    let speed = UInt32(mode.speed)
    let forced = control >> E1000Control.speedShift & 3
    var status = speed << E1000Status.autoDetectedSpeedShift
    status |= (control & E1000Control.forceSpeed != 0 ? forced : speed) << E1000Status.speedShift
    let isFullDuplex =
      control & E1000Control.forceDuplex != 0 ? control & E1000Control.fullDuplex != 0 : mode.isFullDuplex
    if isFullDuplex { status |= E1000Status.fullDuplex }
    if hasLink { status |= E1000Status.linkUp }
    registers[E1000Register.status] = status
  }

  private func accessPHY(_ value: UInt32) {
    let register = value >> E1000MDI.registerShift & 0x1F
    var result = value & ~(E1000MDI.ready | E1000MDI.error) | E1000MDI.ready
    if value >> E1000MDI.phyShift & 0x1F != E1000MDI.phyAddress {
      result |= E1000MDI.error
    } else {
      switch value & E1000MDI.operationMask {
      case E1000MDI.read: result = result & ~E1000MDI.dataMask | UInt32(phy.read(register))
      case E1000MDI.write:
        let renegotiated = phy.write(register, UInt16(truncatingIfNeeded: value))
        updateLink()
        if renegotiated, hasLink {
          phy.linkLost()
          raise(.linkStatusChange)
        }
      default: result |= E1000MDI.error
      }
    }
    registers[E1000Register.mdic] = result
    if value & E1000MDI.interruptEnable != 0 { raise(.mdiAccessComplete) }
  }
}
