import Registers

/// The Marvell 88E1011 PHY inside the 82540EM (IEEE 802.3 clause 22; SDM 13.4.6).
///
/// The link partner supports every mode, so negotiation ends at once with the best mode that the guest advertises.
/// The speed has no effect on frames: they move as fast as the host allows.
struct E1000PHY {
  /// Speed and duplex of a link.
  struct Mode: Equatable {
    /// 0, 1, 2 for 10, 100, 1000 Mb/s, encoded as in STATUS and register 17.
    var speed: UInt16
    var isFullDuplex: Bool
  }

  private var control: UInt16 = 0
  private var advertisement: UInt16 = 0
  private var gigabitControl: UInt16 = 0
  private var specificControl: UInt16 = 0
  private var extendedSpecificControl: UInt16 = 0
  private var nextPage: UInt16 = 0
  private var interruptEnable: UInt16 = 0
  /// The best common mode; nil if there is none.
  private var negotiated: Mode?
  /// Whether the backend's end of the cable has a link.
  var cableLink = true
  /// The link was down at some time since the last read of the status register.
  private var wasDown = false

  init() { reset() }

  /// The reset by register 0 bit 15 or CTRL.PHY_RST.
  mutating func reset() {
    control = 0x1140
    advertisement = 0x0DE1
    gigabitControl = 0x0E00
    specificControl = 0x0360
    extendedSpecificControl = 0x0D60
    nextPage = 0x2001
    interruptEnable = 0
    negotiate()
  }

  var isLoopback: Bool { control & E1000PHYControl.loopback != 0 }
  var hasLink: Bool {
    guard control & E1000PHYControl.powerDown == 0 else { return false }
    return isLoopback || cableLink && mode != nil
  }

  /// The negotiated mode, or the mode that register 0 forces; nil if negotiation found no common mode.
  var mode: Mode? {
    if control & E1000PHYControl.negotiationEnable != 0 { return negotiated }
    let speed: UInt16 = control & E1000PHYControl.speedHigh != 0 ? 2 : control & E1000PHYControl.speedLow != 0 ? 1 : 0
    return Mode(speed: speed, isFullDuplex: control & E1000PHYControl.fullDuplex != 0)
  }

  /// IEEE 802.3, 28B.3: the best common mode, full duplex before half.
  private mutating func negotiate() {
    let abilities: [(offered: Bool, mode: Mode)] = [
      (gigabitControl & 1 << 9 != 0, Mode(speed: 2, isFullDuplex: true)),
      (gigabitControl & 1 << 8 != 0, Mode(speed: 2, isFullDuplex: false)),
      (advertisement & 1 << 8 != 0, Mode(speed: 1, isFullDuplex: true)),
      (advertisement & 1 << 7 != 0, Mode(speed: 1, isFullDuplex: false)),
      (advertisement & 1 << 6 != 0, Mode(speed: 0, isFullDuplex: true)),
      (advertisement & 1 << 5 != 0, Mode(speed: 0, isFullDuplex: false)),
    ]
    negotiated = abilities.first { $0.offered }?.mode
  }

  /// Records that the link went down: the link bit of the status register latches low.
  mutating func linkLost() { wasDown = true }

  mutating func read(_ register: UInt32) -> UInt16 {
    switch register {
    case E1000PHYRegister.control: return control
    case E1000PHYRegister.status:
      // All 10 and 100 Mb/s abilities, extended status, extended capability, auto-negotiation.
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
    // The partner's abilities; at 1000 Mb/s also "receiver OK" for both ends.
    case E1000PHYRegister.gigabitStatus: return hasLink ? mode?.speed == 2 ? 0x3C00 : 0x0C00 : 0
    case E1000PHYRegister.extendedStatus: return 0x3000
    case E1000PHYRegister.specificControl: return specificControl
    // Speed, duplex, "speed and duplex resolved", real-time link.
    case E1000PHYRegister.specificStatus:
      guard hasLink, let mode else { return 0 }
      return mode.speed << 14 | (mode.isFullDuplex ? 1 << 13 : 0) | 0x0C00
    case E1000PHYRegister.interruptEnable: return interruptEnable
    case E1000PHYRegister.extendedSpecificControl: return extendedSpecificControl
    default: return 0
    }
  }

  /// - Returns: whether the link went down and was negotiated again.
  mutating func write(_ register: UInt32, _ value: UInt16) -> Bool {
    switch register {
    case E1000PHYRegister.control:
      // A reset restores all defaults, but the other bits of the same write to register 0 take effect (88E1011).
      if value & E1000PHYControl.reset != 0 { reset() }
      let before = mode
      let wasNegotiating = control & E1000PHYControl.negotiationEnable != 0
      control = value & ~(E1000PHYControl.reset | E1000PHYControl.restartNegotiation)
      let restarts = value & (E1000PHYControl.reset | E1000PHYControl.restartNegotiation) != 0 || !wasNegotiating
      if restarts { negotiate() }
      return value & (E1000PHYControl.reset | E1000PHYControl.restartNegotiation) != 0 || mode != before
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
