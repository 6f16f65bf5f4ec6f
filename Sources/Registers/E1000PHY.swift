/// Registers of the 82540EM's PHY, a Marvell 88E1011, by number (IEEE 802.3 clause 22; SDM 13.4.6, 14.9).
public enum E1000PHYRegister {
  public static var control: UInt32 { 0 }
  public static var status: UInt32 { 1 }
  public static var identifier1: UInt32 { 2 }
  public static var identifier2: UInt32 { 3 }
  public static var advertisement: UInt32 { 4 }
  public static var linkPartner: UInt32 { 5 }
  public static var expansion: UInt32 { 6 }
  public static var nextPage: UInt32 { 7 }
  public static var linkPartnerNextPage: UInt32 { 8 }
  public static var gigabitControl: UInt32 { 9 }
  public static var gigabitStatus: UInt32 { 10 }
  public static var extendedStatus: UInt32 { 15 }
  public static var specificControl: UInt32 { 16 }
  public static var specificStatus: UInt32 { 17 }
  public static var interruptEnable: UInt32 { 18 }
  public static var interruptStatus: UInt32 { 19 }
  public static var extendedSpecificControl: UInt32 { 20 }
  public static var receiveErrors: UInt32 { 21 }
}

/// PHY control, register 0.
public enum E1000PHYControl {
  /// Bits 6 and 13: the speed without negotiation. 10 means 1000 Mb/s, 01 means 100, 00 means 10.
  public static var speedHigh: UInt16 { 1 << 6 }
  public static var speedLow: UInt16 { 1 << 13 }
  public static var fullDuplex: UInt16 { 1 << 8 }
  public static var restartNegotiation: UInt16 { 1 << 9 }
  public static var powerDown: UInt16 { 1 << 11 }
  public static var negotiationEnable: UInt16 { 1 << 12 }
  /// Loopback: the MAC receives its own frames.
  public static var loopback: UInt16 { 1 << 14 }
  /// Clears itself.
  public static var reset: UInt16 { 1 << 15 }
}

/// PHY status, register 1.
public enum E1000PHYStatus {
  /// Link status, latched low: reads 0 once after the link was down.
  public static var linkUp: UInt16 { 1 << 2 }
  public static var negotiationComplete: UInt16 { 1 << 5 }
}

/// The identifier in registers 2 and 3: Marvell, 88E1011.
public enum E1000PHYIdentifier {
  public static var high: UInt16 { 0x0141 }
  public static var low: UInt16 { 0x0C20 }
}
