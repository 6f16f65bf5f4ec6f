/// CTRL (SDM 13.4.1).
public enum E1000Control {
  public static var fullDuplex: UInt32 { 1 << 0 }
  public static var autoSpeedDetection: UInt32 { 1 << 5 }
  /// SLU: lets the MAC see the PHY's link.
  public static var setLinkUp: UInt32 { 1 << 6 }
  public static var invertLossOfSignal: UInt32 { 1 << 7 }
  public static var speedShift: UInt32 { 8 }
  public static var speed1000: UInt32 { 2 << 8 }
  public static var forceSpeed: UInt32 { 1 << 11 }
  public static var forceDuplex: UInt32 { 1 << 12 }
  /// RST: clears itself.
  public static var reset: UInt32 { 1 << 26 }
  public static var receiveFlowControl: UInt32 { 1 << 27 }
  public static var transmitFlowControl: UInt32 { 1 << 28 }
  /// VME: strips VLAN tags on receive and allows their insertion on transmit.
  public static var vlanMode: UInt32 { 1 << 30 }
  /// PHY_RST: holds the PHY in reset.
  public static var phyReset: UInt32 { 1 << 31 }
}

/// STATUS (SDM 13.4.2).
public enum E1000Status {
  public static var fullDuplex: UInt32 { 1 << 0 }
  /// LU.
  public static var linkUp: UInt32 { 1 << 1 }
  /// SPEED: 0, 1, 2 for 10, 100, 1000 Mb/s.
  public static var speedShift: UInt32 { 6 }
  /// ASDV.
  public static var autoDetectedSpeedShift: UInt32 { 8 }
}

/// EECD (SDM 13.4.3).
public enum E1000EEPROMControl {
  /// SK.
  public static var clock: UInt32 { 1 << 0 }
  /// CS.
  public static var chipSelect: UInt32 { 1 << 1 }
  /// DI: from software to the EEPROM.
  public static var dataIn: UInt32 { 1 << 2 }
  /// DO: from the EEPROM to software.
  public static var dataOut: UInt32 { 1 << 3 }
  public static var flashWriteEnableMask: UInt32 { 3 << 4 }
  public static var flashWriteDisabled: UInt32 { 1 << 4 }
  public static var request: UInt32 { 1 << 6 }
  public static var grant: UInt32 { 1 << 7 }
  public static var present: UInt32 { 1 << 8 }
  /// EEPROM size. 0: 64 words; 1: 256 words.
  public static var size: UInt32 { 1 << 9 }
}

/// EERD (SDM 13.4.4).
public enum E1000EEPROMRead {
  public static var start: UInt32 { 1 << 0 }
  public static var done: UInt32 { 1 << 4 }
  public static var addressShift: UInt32 { 8 }
  public static var dataShift: UInt32 { 16 }
}

/// Words of the EEPROM (SDM 5.6).
public enum E1000EEPROMWord {
  /// Words 0 to 2: the Ethernet address, first byte in the low half.
  public static var address: Int { 0x00 }
  public static var control1: Int { 0x0A }
  public static var subsystem: Int { 0x0B }
  public static var subsystemVendor: Int { 0x0C }
  public static var device: Int { 0x0D }
  public static var vendor: Int { 0x0E }
  public static var control2: Int { 0x0F }
  public static var checksum: Int { 0x3F }
  /// The sum of all 64 words.
  public static var sum: UInt16 { 0xBABA }
}

/// MDIC (SDM 13.4.6).
public enum E1000MDI {
  public static var dataMask: UInt32 { 0xFFFF }
  public static var registerShift: UInt32 { 16 }
  public static var phyShift: UInt32 { 21 }
  public static var write: UInt32 { 1 << 26 }
  public static var read: UInt32 { 2 << 26 }
  public static var operationMask: UInt32 { 3 << 26 }
  public static var ready: UInt32 { 1 << 28 }
  public static var interruptEnable: UInt32 { 1 << 29 }
  public static var error: UInt32 { 1 << 30 }
  /// The address of the internal PHY.
  public static var phyAddress: UInt32 { 1 }
}

/// RCTL (SDM 13.4.22).
public enum E1000ReceiveControl {
  public static var enable: UInt32 { 1 << 1 }
  /// SBP: keeps damaged packets.
  public static var storeBadPackets: UInt32 { 1 << 2 }
  public static var unicastPromiscuous: UInt32 { 1 << 3 }
  public static var multicastPromiscuous: UInt32 { 1 << 4 }
  /// LPE: allows packets longer than 1522 bytes.
  public static var longPackets: UInt32 { 1 << 5 }
  public static var loopbackMask: UInt32 { 3 << 6 }
  /// RDMTS: threshold at 1/2, 1/4 or 1/8 of the ring.
  public static var thresholdShift: UInt32 { 8 }
  /// MO: selects the bits of an address that index the multicast table.
  public static var multicastOffsetShift: UInt32 { 12 }
  public static var acceptBroadcast: UInt32 { 1 << 15 }
  /// BSIZE: 2048, 1024, 512 or 256 bytes; 16 times that with BSEX.
  public static var bufferSizeShift: UInt32 { 16 }
  public static var vlanFilter: UInt32 { 1 << 18 }
  public static var canonicalFormFilter: UInt32 { 1 << 19 }
  public static var canonicalFormIndicator: UInt32 { 1 << 20 }
  public static var discardPauseFrames: UInt32 { 1 << 22 }
  public static var passControlFrames: UInt32 { 1 << 23 }
  /// BSEX.
  public static var bufferSizeExtension: UInt32 { 1 << 25 }
  /// SECRC: strips the FCS.
  public static var stripCRC: UInt32 { 1 << 26 }
}

/// TCTL (SDM 13.4.33).
public enum E1000TransmitControl {
  public static var enable: UInt32 { 1 << 1 }
  /// PSP: pads short packets.
  public static var padShortPackets: UInt32 { 1 << 3 }
  public static var collisionThresholdShift: UInt32 { 4 }
  public static var collisionDistanceShift: UInt32 { 12 }
}

/// RXCSUM (SDM 13.4.32).
public enum E1000ReceiveChecksum {
  /// PCSS: start of the packet checksum.
  public static var startMask: UInt32 { 0xFF }
  /// IPOFLD.
  public static var ip: UInt32 { 1 << 8 }
  /// TUOFLD.
  public static var transport: UInt32 { 1 << 9 }
}

/// RAH (SDM 13.5.3).
public enum E1000ReceiveAddressHigh {
  public static var addressMask: UInt32 { 0xFFFF }
  /// AV.
  public static var valid: UInt32 { 1 << 31 }
}

/// RDTR (SDM 13.4.30).
public enum E1000ReceiveDelay {
  /// FPD: flushes pending descriptors and interrupts at once.
  public static var flush: UInt32 { 1 << 31 }
}

/// Bits of ICR, ICS, IMS and IMC (SDM 13.4.17).
public struct E1000InterruptCause: OptionSet, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// TXDW: a descriptor with RS set was written back.
  public static var transmitDescriptorWrittenBack: Self { Self(rawValue: 1 << 0) }
  /// TXQE: the transmit ring is empty.
  public static var transmitQueueEmpty: Self { Self(rawValue: 1 << 1) }
  /// LSC.
  public static var linkStatusChange: Self { Self(rawValue: 1 << 2) }
  /// RXSEQ.
  public static var receiveSequenceError: Self { Self(rawValue: 1 << 3) }
  /// RXDMT0: free receive descriptors fell to the threshold in RCTL.RDMTS.
  public static var receiveDescriptorsLow: Self { Self(rawValue: 1 << 4) }
  /// RXO.
  public static var receiverOverrun: Self { Self(rawValue: 1 << 6) }
  /// RXT0: packets were received, and the delay has expired.
  public static var receiverTimer: Self { Self(rawValue: 1 << 7) }
  /// MDAC: an MDI access has ended.
  public static var mdiAccessComplete: Self { Self(rawValue: 1 << 9) }
  public static var receivedConfiguration: Self { Self(rawValue: 1 << 10) }
  public static var phyInterrupt: Self { Self(rawValue: 1 << 12) }
  public static var generalPurpose0: Self { Self(rawValue: 1 << 13) }
  public static var generalPurpose1: Self { Self(rawValue: 1 << 14) }
  /// TXD_LOW: transmit descriptors fell to TXDCTL.LWTHRESH.
  public static var transmitDescriptorsLow: Self { Self(rawValue: 1 << 15) }
  /// SRPD: a packet no longer than RSRPD was received.
  public static var smallPacketReceived: Self { Self(rawValue: 1 << 16) }
}
