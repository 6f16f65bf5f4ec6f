/// Packets of one conversation, built by hand: a guest at 10.0.0.1 or fd00::1 and a peer at 10.0.0.2 or fd00::2.
struct FlowPacket {
  enum Kind: CaseIterable { case tcp4, udp4, udp4Options, tagged, tcp6, udp6, fragment, arp }
  var kind = Kind.tcp4
  /// The peer's port; without ports, the last byte of its address.
  var peer: UInt16
  var number: UInt8 = 0

  static let guestAddress: [UInt8] = [0x52, 0x54, 0, 1, 2, 3]
  static let peerAddress: [UInt8] = [2, 0, 0, 0, 0, 9]

  /// The packet that the guest sends.
  var sent: [UInt8] { bytes(isReceived: false) }
  /// The peer's answer.
  var received: [UInt8] { bytes(isReceived: true) }

  private func bytes(isReceived: Bool) -> [UInt8] {
    let ours: [UInt8] = [0x13, 0x88]
    let theirs = [UInt8(peer >> 8), UInt8(peer & 0xFF)]
    func both(_ guest: [UInt8], _ other: [UInt8]) -> [UInt8] { isReceived ? other + guest : guest + other }
    var frame = isReceived ? Self.guestAddress + Self.peerAddress : Self.peerAddress + Self.guestAddress
    switch kind {
    case .tcp4, .udp4, .udp4Options, .tagged, .fragment:
      if kind == .tagged { frame += [0x81, 0x00, 0x00, 0x05] }
      let isUDP = kind != .tcp4 && kind != .tagged
      let more: UInt8 = kind == .fragment ? 0x20 : 0x40
      frame += [0x08, 0x00, kind == .udp4Options ? 0x47 : 0x45, 0, 0, 60, 0, number, more, 0, 64, isUDP ? 17 : 6, 0, 0]
      frame += both([10, 0, 0, 1], kind == .fragment ? [10, 0] + theirs : [10, 0, 0, 2])
      if kind == .udp4Options { frame += [1, 1, 1, 1, 1, 1, 1, number] }
      // In a fragment these bytes are not ports.
      frame += kind == .fragment ? [number, number, number, number] : both(ours, theirs)
    case .tcp6, .udp6:
      frame += [0x86, 0xDD, 0x60, 0, 0, number, 0, 20, kind == .udp6 ? 17 : 6, 64]
      let prefix: [UInt8] = [0xFD, 0] + [UInt8](repeating: 0, count: 13)
      frame += both(prefix + [1], prefix + [2]) + both(ours, theirs)
    case .arp:
      frame.replaceSubrange(isReceived ? 10..<12 : 4..<6, with: theirs)
      frame += [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, isReceived ? 2 : 1]
    }
    while frame.count < 90 { frame.append(0) }
    return frame + [number]
  }
}
