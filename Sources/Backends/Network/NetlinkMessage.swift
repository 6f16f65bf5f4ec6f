/// One message from the kernel (netlink(7)): a header of 16 bytes, and a body.
struct NetlinkMessage {
  let type: UInt16
  let body: ArraySlice<UInt8>

  /// Reads the first message in `bytes`; nil if it is not complete.
  init?(_ bytes: ArraySlice<UInt8>) {
    guard bytes.count >= 16 else { return nil }
    let length = Int(Self.word(bytes, 0))
    guard length >= 16, length <= bytes.count else { return nil }
    type = Self.half(bytes, 4)
    body = bytes.prefix(length).dropFirst(16)
  }

  /// The errno value of an NLMSG_ERROR.
  var errorCode: Int32? {
    guard type == 2, body.count >= 4 else { return nil }
    return 0 &- Int32(bitPattern: Self.word(body, 0))
  }

  // Numbers are in the host's byte order. The callers have checked the bounds.

  static func word(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> UInt32 {
    UInt32(half(bytes, offset)) | UInt32(half(bytes, offset + 2)) << 16
  }

  static func half(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> UInt16 {
    let place = bytes.startIndex + offset
    return UInt16(bytes[place]) | UInt16(bytes[place + 1]) << 8
  }

  static func bytes(of word: UInt32) -> [UInt8] { withUnsafeBytes(of: word.littleEndian) { Array($0) } }
}

/// One attribute in a message's body (struct rtattr): length, type, value, padded to four bytes.
struct NetlinkAttribute {
  let type: UInt16
  let value: [UInt8]

  init(_ type: UInt16, _ value: [UInt8]) {
    self.type = type
    self.value = value
  }

  /// The encoding in a message.
  var bytes: [UInt8] {
    let length = UInt32(truncatingIfNeeded: 4 + value.count)
    let padding = [UInt8](repeating: 0, count: -value.count & 3)
    return NetlinkMessage.bytes(of: length | UInt32(type) << 16) + value + padding
  }

  /// The value as a number of one, two or four bytes; 0 if it is empty.
  var number: UInt32 { value.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) } }
  /// The value as a zero-terminated string.
  var text: String { String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }

  /// All complete attributes in `bytes`.
  static func all(in bytes: ArraySlice<UInt8>) -> [NetlinkAttribute] {
    var rest = bytes
    var all: [NetlinkAttribute] = []
    while rest.count >= 4 {
      let length = Int(NetlinkMessage.half(rest, 0))
      guard length >= 4, length <= rest.count else { break }
      // The two upper bits of the type are flags for nesting and byte order.
      all.append(NetlinkAttribute(NetlinkMessage.half(rest, 2) & 0x3FFF, Array(rest.prefix(length).dropFirst(4))))
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return all
  }
}
