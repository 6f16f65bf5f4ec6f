/// Frames, built by hand, and descriptors for them.
enum NICPacket {
  static let own: [UInt8] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56]

  /// An Ethernet frame of `count` bytes with a counting payload.
  static func ethernet(to destination: [UInt8] = own, type: UInt16 = 0x88B5, count: Int = 100) -> [UInt8] {
    let head = destination + [0x02, 0, 0, 0, 0, 0x01, UInt8(type >> 8), UInt8(type & 0xFF)]
    return Array((head + (head.count..<max(count, head.count)).map { UInt8(truncatingIfNeeded: $0) }).prefix(count))
  }

  static func tagged(_ tag: UInt16, _ frame: [UInt8]) -> [UInt8] {
    Array(frame[0..<12]) + [0x81, 0x00, UInt8(tag >> 8), UInt8(tag & 0xFF)] + frame[12...]
  }

  /// IPv4 with TCP or UDP. Checksums are 0 except for the pseudo-header's sum, as drivers leave them for offloads.
  static func ipv4(isUDP: Bool = false, payload: Int, withLength: Bool = true) -> [UInt8] {
    let transport = isUDP ? 8 : 20
    var bytes = own + [0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00]
    bytes += [0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, isUDP ? 17 : 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    let total = 20 + transport + payload
    (bytes[16], bytes[17]) = (UInt8(truncatingIfNeeded: total >> 8), UInt8(truncatingIfNeeded: total))
    bytes +=
      isUDP
      ? [
        0x30, 0x39, 0x00, 0x35, UInt8(truncatingIfNeeded: (8 + payload) >> 8), UInt8(truncatingIfNeeded: 8 + payload),
        0, 0,
      ]
      : [0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]
    var sum = (0x0A00 + 0x0001 + 0x0A00 + 0x0002) + (isUDP ? 17 : 6)
    if withLength { sum += transport + payload }
    let field = 34 + (isUDP ? 6 : 16)
    while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
    (bytes[field], bytes[field + 1]) = (UInt8(sum >> 8), UInt8(sum & 0xFF))
    return bytes + (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 7) }
  }

  // MARK: Descriptors (SDM 3.3)

  static func legacy(
    _ address: UInt64, _ length: Int, command: UInt64 = 0x0B, css: UInt64 = 0, cso: UInt64 = 0,
    special: UInt64 = 0
  ) -> [UInt8] {
    littleEndian(address, 8)
      + littleEndian(UInt64(length) | cso << 16 | command << 24 | css << 40 | special << 48, 8)
  }

  static func data(_ address: UInt64, _ length: Int, command: UInt64 = 0x0B, options: UInt64 = 0, special: UInt64 = 0)
    -> [UInt8]
  {
    littleEndian(address, 8)
      + littleEndian(UInt64(length) | 1 << 20 | (command | 0x20) << 24 | options << 40 | special << 48, 8)
  }

  /// A context for Ethernet, IPv4 without options and TCP or UDP.
  static func context(
    command: UInt64, isUDP: Bool = false, payload: Int = 0, header: Int = 0, mss: Int = 0, end: UInt64 = 0
  )
    -> [UInt8]
  {
    let low = 14 | 24 << 8 | 33 << 16 | 34 << 32 | (isUDP ? 40 : 50) << 40 as UInt64
    return littleEndian(low | end << 48, 8)
      + littleEndian(UInt64(payload) | (command | 0x20) << 24 | UInt64(header) << 40 | UInt64(mss) << 48, 8)
  }

  static func receive(_ address: UInt64) -> [UInt8] { littleEndian(address, 8) + littleEndian(0, 8) }
}
