/// Packets, built by hand.
package enum E1000Packet {
  /// The address of the NIC under test.
  package static let mac: [UInt8] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56]

  /// An Ethernet frame of `count` bytes with a counting payload.
  package static func ethernet(
    to destination: [UInt8] = mac, type: UInt16 = 0x88B5, count: Int = 100, seed: Int = 0
  ) -> [UInt8] {
    var bytes = destination + [0x02, 0, 0, 0, 0, 0x01, UInt8(type >> 8), UInt8(type & 0xFF)]
    while bytes.count < count { bytes.append(UInt8(truncatingIfNeeded: bytes.count + seed)) }
    return bytes
  }

  package static func tagged(_ tag: UInt16, _ frame: [UInt8], type: UInt16 = 0x8100) -> [UInt8] {
    Array(frame[0..<12]) + [UInt8(type >> 8), UInt8(type & 0xFF), UInt8(tag >> 8), UInt8(tag & 0xFF)] + frame[12...]
  }

  package static func sum(_ bytes: some Sequence<UInt8>) -> UInt16 {
    var total: UInt32 = 0
    var high = true
    for byte in bytes {
      total += high ? UInt32(byte) << 8 : UInt32(byte)
      high.toggle()
    }
    while total > 0xFFFF { total = (total & 0xFFFF) + (total >> 16) }
    return UInt16(total)
  }

  package static func put(_ value: UInt16, _ bytes: inout [UInt8], _ offset: Int) {
    bytes[offset] = UInt8(value >> 8)
    bytes[offset + 1] = UInt8(value & 0xFF)
  }

  /// TCP or UDP over IPv4 in Ethernet: 54 or 42 bytes of headers, and both checksums correct.
  package static func ipv4(
    isUDP: Bool = false, payload: Int, checksums: Bool = true, to destination: [UInt8] = mac
  ) -> [UInt8] {
    let transport: Int = isUDP ? 8 : 20
    var bytes = destination + [0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00]
    bytes += [0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, isUDP ? 17 : 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    put(UInt16(20 + transport + payload), &bytes, 16)
    bytes +=
      isUDP
      ? [0x30, 0x39, 0x00, 0x35, 0, 0, 0, 0]
      : [0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]
    if isUDP { put(UInt16(8 + payload), &bytes, 38) }
    for index in 0..<payload { bytes.append(UInt8(truncatingIfNeeded: index &* 7)) }
    guard checksums else { return bytes }
    put(~sum(bytes[14..<34]), &bytes, 24)
    put(~transportSum(bytes), &bytes, 34 + (isUDP ? 6 : 16))
    return bytes
  }

  /// The pseudo-header's sum for `length` bytes of TCP or UDP, without the length when that is 0.
  package static func pseudoHeader(_ bytes: [UInt8], length: Int) -> UInt16 {
    sum(Array(bytes[26..<34]) + [0, bytes[23], UInt8(length >> 8), UInt8(length & 0xFF)])
  }

  /// The sum over pseudo-header and segment; 0xFFFF when the checksum in it is correct.
  package static func transportSum(_ bytes: [UInt8]) -> UInt16 {
    let length = bytes.count - 34
    return sum(Array(bytes[26..<34]) + [0, bytes[23], UInt8(length >> 8), UInt8(length & 0xFF)] + bytes[34...])
  }
}
