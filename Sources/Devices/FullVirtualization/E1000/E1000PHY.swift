import Registers

/// The Marvell 88E1011 PHY inside the 82540EM (IEEE 802.3 clause 22; SDM 13.4.6).
///
/// Negotiation always ends at once with 1000BASE-T full duplex. Guarded by the device's lock.
struct E1000PHY {
  private var control: UInt16 = 0
  private var advertisement: UInt16 = 0
  private var gigabitControl: UInt16 = 0
  private var specificControl: UInt16 = 0
  private var extendedSpecificControl: UInt16 = 0
  private var nextPage: UInt16 = 0
  private var interruptEnable: UInt16 = 0
  /// What is on the other end of the cable.
  var cableLink = true
  /// The link was down since the status register was last read.
  private var wasDown = false

  init() { reset() }

  /// What register 0 bit 15 and CTRL.PHY_RST do.
  mutating func reset() {
    control = 0x1140
    advertisement = 0x0DE1
    gigabitControl = 0x0E00
    specificControl = 0x0360
    extendedSpecificControl = 0x0D60
    nextPage = 0x2001
    interruptEnable = 0
  }

  var isLoopback: Bool { control & E1000PHYControl.loopback != 0 }
  var hasLink: Bool { (cableLink || isLoopback) && control & E1000PHYControl.powerDown == 0 }

  /// Remembers that the link went down, for the bit that latches low.
  mutating func linkLost() { wasDown = true }

  mutating func read(_ register: UInt32) -> UInt16 {
    switch register {
    case E1000PHYRegister.control: return control
    case E1000PHYRegister.status:
      // All 10 and 100 Mb/s abilities, extended status and capability, negotiation.
      var value: UInt16 = 0x7949
      if hasLink, control & E1000PHYControl.negotiationEnable != 0 { value |= E1000PHYStatus.negotiationComplete }
      if hasLink, !wasDown { value |= E1000PHYStatus.linkUp }
      wasDown = !hasLink
      return value
    case E1000PHYRegister.identifier1: return E1000PHYIdentifier.high
    case E1000PHYRegister.identifier2: return E1000PHYIdentifier.low
    case E1000PHYRegister.advertisement: return advertisement
    case E1000PHYRegister.linkPartner: return hasLink ? 0x41E1 : 0
    case E1000PHYRegister.expansion: return hasLink ? 0x0007 : 0x0004
    case E1000PHYRegister.nextPage: return nextPage
    case E1000PHYRegister.gigabitControl: return gigabitControl
    case E1000PHYRegister.gigabitStatus: return hasLink ? 0x3C00 : 0
    case E1000PHYRegister.extendedStatus: return 0x3000
    case E1000PHYRegister.specificControl: return specificControl
    // 1000 Mb/s, full duplex, resolved, real-time link.
    case E1000PHYRegister.specificStatus: return hasLink ? 0xAC00 : 0x0000
    case E1000PHYRegister.interruptEnable: return interruptEnable
    case E1000PHYRegister.extendedSpecificControl: return extendedSpecificControl
    default: return 0
    }
  }

  /// - Returns: whether the link was taken down and negotiated anew.
  mutating func write(_ register: UInt32, _ value: UInt16) -> Bool {
    switch register {
    case E1000PHYRegister.control:
      // A reset puts defaults into all but the bits written with it (88E1011: speed, duplex and loopback take effect).
      if value & E1000PHYControl.reset != 0 { reset() }
      control = value & ~(E1000PHYControl.reset | E1000PHYControl.restartNegotiation)
      return value & (E1000PHYControl.reset | E1000PHYControl.restartNegotiation) != 0
    case E1000PHYRegister.advertisement: advertisement = value
    case E1000PHYRegister.nextPage: nextPage = value
    case E1000PHYRegister.gigabitControl: gigabitControl = value
    case E1000PHYRegister.specificControl: specificControl = value
    case E1000PHYRegister.interruptEnable: interruptEnable = value
    case E1000PHYRegister.extendedSpecificControl: extendedSpecificControl = value
    default: break
    }
    return false
  }
}
