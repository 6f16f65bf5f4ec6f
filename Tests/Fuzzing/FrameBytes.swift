import Backends
import DeviceSupport

/// Frames that an operation describes: a kind, a size, and one change of their headers.
enum FrameBytes {
  private static let group: [UInt8] = [0x33, 0x33, 0, 0, 0, 1]
  private static let everyone: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]

  // Built once: a frame is then a copy of its headers, and a fill.
  private static let tcp = E1000Packet.ipv4(payload: 0)
  private static let udp = E1000Packet.ipv4(isUDP: true, payload: 0)
  private static let tcp6 = ipv6(next: 6)
  private static let options6 = ipv6(next: 0)
  private static let udp6 = ipv6(next: 17)

  /// The kind is in the lower bits of `selector`, the size in `half`; byte `word & 0x7F` becomes `word >> 8`.
  static func make(_ operation: Operation) -> [UInt8] {
    // IP's length field counts up to 65 535 bytes, with both headers.
    let size = Int(operation.half & 0x8000 == 0 ? operation.half % 2048 : min(operation.half, 65_487))
    var bytes: [UInt8]
    switch operation.selector & 0x0F {
    case 0: bytes = padded(E1000Packet.ethernet(count: 14), to: size)
    case 1: bytes = E1000Packet.ipv4(payload: size % 64)
    case 2: bytes = padded(E1000Packet.ethernet(to: everyone, type: 0x0806, count: 42), to: size)
    case 3: bytes = padded(E1000Packet.ethernet(to: group, count: 14), to: size)
    case 4, 5: bytes = filled(tcp, size, lengthAt: 16)
    case 6: bytes = filled(udp, size, lengthAt: 16)
    case 7: bytes = E1000Packet.tagged(UInt16(operation.byte(3)), filled(tcp, size, lengthAt: 16))
    case 8, 9: bytes = filled(tcp6, size, lengthAt: 18)
    case 10: bytes = filled(options6, size, lengthAt: 18)
    case 11:
      bytes = E1000Packet.tagged(1, E1000Packet.tagged(2, filled(tcp6, size, lengthAt: 18)), type: 0x88A8)
    case 12: bytes = filled(udp6, size, lengthAt: 18)
    case 13: bytes = E1000Packet.ipv4(isUDP: true, payload: size % 64)
    default: bytes = padded(everyone + tcp[6...], to: size)
    }
    if operation.byte(1) != 0 {
      let place = Int(operation.word & 0x7F)
      if place < bytes.count { bytes[place] = operation.byte(1) }
    }
    return bytes
  }

  private static func padded(_ head: [UInt8], to size: Int) -> [UInt8] {
    size <= head.count ? head : head + [UInt8](repeating: 0xA5, count: size - head.count)
  }

  /// `size` bytes behind `head`, counted in the length field of IPv4 or IPv6.
  private static func filled(_ head: [UInt8], _ size: Int, lengthAt place: Int) -> [UInt8] {
    var bytes = padded(head, to: head.count + size)
    E1000Packet.put(UInt16(bytes.count - (place == 16 ? 14 : 54)), &bytes, place)
    return bytes
  }

  /// IPv6, with hop-by-hop options if `next` is 0, and a TCP header.
  private static func ipv6(next: UInt8) -> [UInt8] {
    let options: [UInt8] = next == 0 ? [6, 0, 1, 4, 0, 0, 0, 0] : []
    return E1000Packet.mac + [2, 0, 0, 0, 0, 1, 0x86, 0xDD, 0x60, 0, 0, 0, 0, 0, next, 64]
      + [UInt8](repeating: 0xFD, count: 16) + [UInt8](repeating: 0xFE, count: 16) + options
      + [0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]
  }

  /// Leaves work on a frame to the receiver, as bits 4 to 6 of the selector say.
  static func describe(_ frame: Frame, _ operation: Operation) -> Frame {
    var frame = frame
    let isIPv6 = (8...12).contains(operation.selector & 0x0F)
    let start: UInt16 = operation.selector & 0x0F == 7 ? 38 : isIPv6 ? 54 : 34
    if operation.selector & 0x10 != 0 {
      let isOdd = operation.selector & 0x40 != 0
      let checksum = PartialChecksum(start: isOdd ? operation.wordHigh : start, offset: 16)
      // A backend passes on only a checksum within the frame (`VirtioHeader.frame`).
      if Int(checksum.start) + 18 <= frame.count { frame.checksum = checksum }
    }
    if operation.selector & 0x20 != 0, frame.checksum != nil {
      frame.segmentation = Segmentation(
        kind: isIPv6 ? .tcp6 : .tcp4, segmentSize: max(1, operation.wordHigh), headerLength: start + 20)
    }
    frame.isChecksumVerified = operation.selector & 0x50 == 0x40
    return frame
  }
}
