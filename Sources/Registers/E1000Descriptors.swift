/// Commands of a transmit descriptor: CMD, DCMD and TUCMD (SDM 3.3.3.1, 3.3.6.1, 3.3.7.1).
public enum E1000TransmitCommand {
  /// EOP: the packet ends here. In a context descriptor, bit 0 is TCP instead.
  public static var endOfPacket: UInt8 { 1 << 0 }
  /// IFCS.
  public static var insertFCS: UInt8 { 1 << 1 }
  /// IC of a legacy descriptor: inserts at CSO a checksum of all bytes from CSS on.
  public static var insertChecksum: UInt8 { 1 << 2 }
  /// TSE of data and context descriptors: TCP segmentation.
  public static var segment: UInt8 { 1 << 2 }
  /// RS: the device writes DD back.
  public static var reportStatus: UInt8 { 1 << 3 }
  /// RPS.
  public static var reportPacketSent: UInt8 { 1 << 4 }
  /// DEXT: the descriptor has a type.
  public static var extended: UInt8 { 1 << 5 }
  /// VLE: inserts a VLAN tag.
  public static var vlan: UInt8 { 1 << 6 }
  /// IDE: TIDV and TADV delay the interrupt.
  public static var interruptDelay: UInt8 { 1 << 7 }

  // Context descriptors.
  /// TUCMD.TCP: TCP, not UDP.
  public static var tcp: UInt8 { 1 << 0 }
  /// TUCMD.IP: IPv4, not IPv6.
  public static var ipv4: UInt8 { 1 << 1 }
}

/// STA of a transmit descriptor (SDM 3.3.3.2).
///
/// The device owns the whole field and overwrites bits that a driver has set. The other bits report collisions, which a
/// full-duplex link does not have.
public enum E1000TransmitStatus {
  /// DD.
  public static var done: UInt8 { 1 << 0 }
}

/// POPTS of a data descriptor (SDM 3.3.7.2): the checksums to insert.
public enum E1000PacketOption {
  public static var ipChecksum: UInt8 { 1 << 0 }
  public static var transportChecksum: UInt8 { 1 << 1 }
}

/// DTYP of an extended transmit descriptor.
public enum E1000DescriptorType {
  public static var context: UInt8 { 0 }
  public static var data: UInt8 { 1 }
}

/// A transmit descriptor of either format: 16 bytes, little-endian (SDM 3.3.3, 3.3.6, 3.3.7).
public struct E1000TransmitDescriptor: BitwiseCopyable, Sendable {
  /// The buffer's guest physical address; in a context descriptor the checksum offsets.
  public var address: UInt64
  /// Length, command, status and the other fields.
  public var fields: UInt64

  public init(address: UInt64 = 0, fields: UInt64 = 0) {
    self.address = address
    self.fields = fields
  }

  @inline(__always)
  func byte(_ value: UInt64, _ shift: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: value >> shift) }
  @inline(__always)
  func half(_ value: UInt64, _ shift: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: value >> shift) }

  // All formats.
  public var command: UInt8 { byte(fields, 24) }
  /// STA.
  public var status: UInt8 { byte(fields, 32) & 0x0F }
  public var isExtended: Bool { command & E1000TransmitCommand.extended != 0 }
  /// DTYP, only in extended descriptors.
  public var type: UInt8 { byte(fields, 20) & 0x0F }
  /// VLAN tag control information.
  public var special: UInt16 { half(fields, 48) }

  // Legacy.
  public var legacyLength: Int { Int(half(fields, 0)) }
  /// CSO.
  public var checksumOffset: Int { Int(byte(fields, 16)) }
  /// CSS.
  public var checksumStart: Int { Int(byte(fields, 40)) }

  // Data.
  /// DTALEN, 20 bits.
  public var dataLength: Int { Int(truncatingIfNeeded: fields & 0xF_FFFF) }
  public var packetOptions: UInt8 { byte(fields, 40) }

  // Context.
  public var ipChecksumStart: Int { Int(byte(address, 0)) }
  public var ipChecksumOffset: Int { Int(byte(address, 8)) }
  public var ipChecksumEnd: Int { Int(half(address, 16)) }
  public var transportChecksumStart: Int { Int(byte(address, 32)) }
  public var transportChecksumOffset: Int { Int(byte(address, 40)) }
  public var transportChecksumEnd: Int { Int(half(address, 48)) }
  /// PAYLEN, 20 bits: bytes after the headers.
  public var payloadLength: Int { Int(truncatingIfNeeded: fields & 0xF_FFFF) }
  public var headerLength: Int { Int(byte(fields, 40)) }
  /// MSS.
  public var segmentSize: Int { Int(half(fields, 48)) }

  /// A legacy descriptor (SDM 3.3.3).
  public static func legacy(
    address: UInt64, length: UInt16, command: UInt8, checksumOffset: UInt8 = 0, checksumStart: UInt8 = 0,
    special: UInt16 = 0
  ) -> Self {
    var fields = UInt64(length) | UInt64(checksumOffset) << 16 | UInt64(command) << 24
    fields |= UInt64(checksumStart) << 40 | UInt64(special) << 48
    return Self(address: address, fields: fields)
  }

  /// A data descriptor (SDM 3.3.7); `length` has 20 bits.
  public static func data(
    address: UInt64, length: UInt32, command: UInt8, packetOptions: UInt8 = 0, special: UInt16 = 0
  ) -> Self {
    var fields = UInt64(length & 0xF_FFFF) | UInt64(E1000DescriptorType.data) << 20
    fields |= UInt64(command | E1000TransmitCommand.extended) << 24
    fields |= UInt64(packetOptions) << 40 | UInt64(special) << 48
    return Self(address: address, fields: fields)
  }

  /// A context descriptor (SDM 3.3.6): start, offset and end of each checksum. An end of 0 means the packet's end.
  public static func context(
    ipStart: UInt8, ipOffset: UInt8, ipEnd: UInt16, transportStart: UInt8, transportOffset: UInt8,
    transportEnd: UInt16 = 0, command: UInt8, payloadLength: UInt32 = 0, headerLength: UInt8 = 0,
    segmentSize: UInt16 = 0
  ) -> Self {
    var offsets = UInt64(ipStart) | UInt64(ipOffset) << 8 | UInt64(ipEnd) << 16
    offsets |= UInt64(transportStart) << 32 | UInt64(transportOffset) << 40 | UInt64(transportEnd) << 48
    var fields = UInt64(payloadLength & 0xF_FFFF) | UInt64(command | E1000TransmitCommand.extended) << 24
    fields |= UInt64(headerLength) << 40 | UInt64(segmentSize) << 48
    return Self(address: offsets, fields: fields)
  }
}

/// A receive descriptor: 16 bytes, little-endian (SDM 3.2.3).
public struct E1000ReceiveDescriptor: BitwiseCopyable, Sendable {
  /// The buffer's guest physical address. The device does not change it.
  public var address: UInt64
  /// Written by the device: length 15:0, checksum 31:16, status 39:32, errors 47:40, special 63:48.
  public var fields: UInt64

  public init(address: UInt64 = 0, fields: UInt64 = 0) {
    self.address = address
    self.fields = fields
  }

  /// Bytes that the device stored in this buffer.
  public var length: Int { Int(UInt16(truncatingIfNeeded: fields)) }
  /// The packet checksum, from RXCSUM.PCSS to the end, not complemented.
  public var checksum: UInt16 { UInt16(truncatingIfNeeded: fields >> 16) }
  public var status: UInt8 { UInt8(truncatingIfNeeded: fields >> 32) }
  public var errors: UInt8 { UInt8(truncatingIfNeeded: fields >> 40) }
  /// The stripped VLAN tag.
  public var special: UInt16 { UInt16(truncatingIfNeeded: fields >> 48) }

  public static func fields(length: UInt16, checksum: UInt16, status: UInt8, errors: UInt8, special: UInt16) -> UInt64 {
    UInt64(length) | UInt64(checksum) << 16 | UInt64(status) << 32 | UInt64(errors) << 40 | UInt64(special) << 48
  }
}

/// Status of a receive descriptor (SDM 3.2.3.1).
public enum E1000ReceiveStatus {
  /// DD.
  public static var done: UInt8 { 1 << 0 }
  /// EOP.
  public static var endOfPacket: UInt8 { 1 << 1 }
  /// IXSM: the checksum bits are not valid.
  public static var ignoreChecksum: UInt8 { 1 << 2 }
  /// VP: the packet had a VLAN tag.
  public static var vlan: UInt8 { 1 << 3 }
  /// TCPCS: the TCP or UDP checksum was calculated.
  public static var transportChecksum: UInt8 { 1 << 5 }
  /// IPCS: the IP checksum was calculated.
  public static var ipChecksum: UInt8 { 1 << 6 }
  /// PIF: the packet passed an inexact filter.
  public static var inexactFilter: UInt8 { 1 << 7 }
}

/// Errors of a receive descriptor (SDM 3.2.3.2).
public enum E1000ReceiveError {
  public static var crc: UInt8 { 1 << 0 }
  /// TCPE: the TCP or UDP checksum is wrong.
  public static var transportChecksum: UInt8 { 1 << 5 }
  /// IPE: the IP checksum is wrong.
  public static var ipChecksum: UInt8 { 1 << 6 }
}
