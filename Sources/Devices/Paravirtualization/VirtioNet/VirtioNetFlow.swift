import GuestMemory

/// Identifies flows: frames in both directions between two addresses and, for TCP and UDP, two ports.
enum VirtioNetFlow {
  /// Length of Ethernet header, VLAN tag, longest IPv4 header, and ports.
  private static let headLength = 14 + 4 + 60 + 4

  /// A hash that is equal for both directions of a flow. For fragments, it ignores ports, which only the first one has.
  static func number(of frame: ScatterList) -> UInt32 {
    withUnsafeTemporaryAllocation(byteCount: headLength, alignment: 8) { head in
      let known = frame.copyOut(into: head)
      UnsafeMutableRawBufferPointer(rebasing: head[known...]).initializeMemory(as: UInt8.self, repeating: 0)
      return number(UnsafeRawBufferPointer(head))
    }
  }

  private static func number(_ head: UnsafeRawBufferPointer) -> UInt32 {
    func half(_ offset: Int) -> UInt64 { UInt64(head.loadUnaligned(fromByteOffset: offset, as: UInt16.self).bigEndian) }
    func word(_ offset: Int) -> UInt64 { UInt64(head.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
    func long(_ offset: Int) -> UInt64 { head.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
    let network = half(12) == 0x8100 ? 18 : 14
    switch half(network - 2) {
    case 0x0800:
      let isFragment = half(network + 6) & 0x3FFF != 0
      let transport = network + max(20, Int(head[network] & 0x0F) * 4)
      let ports = hasPorts(head[network + 9]) && !isFragment ? (half(transport), half(transport + 2)) : (0, 0)
      return symmetric(mixed(word(network + 12), ports.0), mixed(word(network + 16), ports.1))
    case 0x86DD:
      let ports = hasPorts(head[network + 6]) ? (half(network + 40), half(network + 42)) : (0, 0)
      return symmetric(
        mixed(mixed(long(network + 8), long(network + 16)), ports.0),
        mixed(mixed(long(network + 24), long(network + 32)), ports.1))
    default:
      return symmetric(mixed(word(0), half(4)), mixed(word(6), half(10)))
    }
  }

  /// Whether the protocol is TCP or UDP.
  private static func hasPorts(_ networkProtocol: UInt8) -> Bool { networkProtocol == 6 || networkProtocol == 17 }

  /// Mixes both values into all 64 bits. Multiplication only affects higher bits; the shifts bring them down again.
  private static func mixed(_ first: UInt64, _ second: UInt64) -> UInt64 {
    let factor: UInt64 = 0x9E37_79B9_7F4A_7C15
    let product = (first &* factor ^ first >> 29) &+ second &+ 1
    let spread = (product ^ product >> 32) &* factor
    return spread ^ spread >> 32
  }

  private static func symmetric(_ source: UInt64, _ destination: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: mixed(source &+ destination, 0))
  }
}
