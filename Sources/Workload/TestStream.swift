/// The frames that the guest's programs and the host's endpoint exchange in network measurements.
///
/// Data frames are IPv4/TCP, so that NICs can segment them. The TCP sequence number is the offset in the stream, and
/// the offset determines every byte of payload. Commands and credit use frames with a different EtherType.
public enum TestStream {
  /// IEEE 802's local experimental EtherType 1.
  public static var controlType: UInt16 { 0x88B5 }
  /// Bytes of the Ethernet, IPv4 and TCP headers of a data frame.
  public static var headerSize: Int { 54 }
  /// Bytes of a control frame, which is padded to Ethernet's minimum size without FCS.
  public static var controlSize: Int { 60 }
  /// Payload bytes of a segment of a large frame.
  public static var segmentSize: Int { 1460 }

  /// Fields of a control frame, as offsets.
  public static var kindOffset: Int { 14 }
  public static var valueOffset: Int { 16 }
  public static var value2Offset: Int { 24 }
  public static var value3Offset: Int { 32 }

  /// The kind of a control frame. Its comment lists the meanings of `value`, `value2` and `value3`.
  public enum Kind: UInt8 {
    /// The sender begins a stream. Value: window in bytes.
    case begin = 1
    /// The receiver allows sending up to an offset. Value: offset.
    case credit = 2
    /// The sender has sent the whole stream. Value: its end offset.
    case end = 3
    /// The receiver reports its result. Values: offset verified, frames, wrong frames.
    case result = 4
    /// Asks the other side to send. Values: nanoseconds, frame size, window in bytes.
    case request = 5
    /// Asks the other side to send this frame back.
    case echo = 6
    case echoReply = 7
  }

  /// Stream bytes of a data frame of `frameBytes`: its payload, rounded up to whole words.
  public static func advance(frameBytes: Int) -> UInt64 { UInt64((frameBytes - headerSize + 3) & ~3) }

  /// Window in bytes, as a TCP connection would have it: enough frames to keep both sides busy. That is 512 small frames, or
  /// 2 MiB of large ones, which are 48 at most. The drivers have receive buffers for all of them, and more transmit buffers,
  /// so a sender that may not go on sleeps; it would poll a full ring.
  public static func window(frameBytes: Int) -> UInt64 {
    advance(frameBytes: frameBytes) * (frameBytes > 9000 ? UInt64(min(48, (2 << 20) / frameBytes)) : 512)
  }

  // MARK: The payload

  private static var multiplier: UInt32 { 0x9E37_79B1 }

  @inline(__always)
  private static func word(_ offset: UInt32) -> UInt32 { (offset &* multiplier) ^ 0x5BD1_E995 }

  /// Writes the stream's payload at `offset`, a multiple of 4.
  public static func fill(_ payload: UnsafeMutableRawPointer, _ count: Int, offset: UInt32) {
    var position = 0
    while position + 4 <= count {
      payload.storeBytes(
        of: word(offset &+ UInt32(truncatingIfNeeded: position)), toByteOffset: position, as: UInt32.self)
      position += 4
    }
    while position < count {
      payload.storeBytes(
        of: byte(offset &+ UInt32(truncatingIfNeeded: position)), toByteOffset: position, as: UInt8.self)
      position += 1
    }
  }

  @inline(__always)
  private static func byte(_ offset: UInt32) -> UInt8 {
    UInt8(truncatingIfNeeded: word(offset & ~3) >> (8 * (offset & 3)))
  }

  /// Whether `payload` is the stream's payload at `offset`, which may be any number.
  public static func check(_ payload: UnsafeRawPointer, _ count: Int, offset: UInt32) -> Bool {
    var position = 0
    var difference: UInt32 = 0
    while position < count, (offset &+ UInt32(truncatingIfNeeded: position)) & 3 != 0 {
      let found = payload.load(fromByteOffset: position, as: UInt8.self)
      difference |= UInt32(found ^ byte(offset &+ UInt32(truncatingIfNeeded: position)))
      position += 1
    }
    while position + 4 <= count {
      let found = payload.loadUnaligned(fromByteOffset: position, as: UInt32.self)
      difference |= found ^ word(offset &+ UInt32(truncatingIfNeeded: position))
      position += 4
    }
    while position < count {
      let found = payload.load(fromByteOffset: position, as: UInt8.self)
      difference |= UInt32(found ^ byte(offset &+ UInt32(truncatingIfNeeded: position)))
      position += 1
    }
    return difference == 0
  }

  // MARK: Headers

  /// Writes the Ethernet, IPv4 and TCP headers of a data frame.
  ///
  /// The TCP checksum field gets only the pseudo-header's sum. NICs complete it in the segments of a large frame.
  ///
  /// - Parameter pseudoLength: the length to include in that sum; 0 if the NIC adds it.
  public static func writeHeaders(
    _ frame: UnsafeMutableRawPointer, destination: UInt64, source: UInt64, frameBytes: Int, offset: UInt32,
    pseudoLength: Int
  ) {
    writeAddresses(frame, destination: destination, source: source, type: 0x0800)
    let total = UInt16(truncatingIfNeeded: frameBytes - 14)
    put(frame, 14, 0x4500)
    put(frame, 16, total)
    put(frame, 18, 0)
    put(frame, 20, 0x4000)  // don't fragment
    put(frame, 22, 0x4006)  // TTL 64, TCP
    put(frame, 24, 0)
    // 192.0.2.1 to 192.0.2.2 (RFC 5737).
    put(frame, 26, 0xC000)
    put(frame, 28, 0x0201)
    put(frame, 30, 0xC000)
    put(frame, 32, 0x0202)
    var sum: UInt32 = 0x4500 + UInt32(total) + 0x4000 + 0x4006 + 0xC000 + 0x0201 + 0xC000 + 0x0202
    sum = (sum & 0xFFFF) + sum >> 16
    sum = (sum & 0xFFFF) + sum >> 16
    put(frame, 24, ~UInt16(truncatingIfNeeded: sum))
    put(frame, 34, 9)  // From and to the discard port.
    put(frame, 36, 9)
    put(frame, 38, UInt16(truncatingIfNeeded: offset >> 16))
    put(frame, 40, UInt16(truncatingIfNeeded: offset))
    put(frame, 42, 0)
    put(frame, 44, 0)
    put(frame, 46, 0x5010)  // 20 bytes, ACK
    put(frame, 48, 0xFFFF)
    var pseudo: UInt32 = 0xC000 + 0x0201 + 0xC000 + 0x0202 + 6 + UInt32(truncatingIfNeeded: pseudoLength)
    pseudo = (pseudo & 0xFFFF) + pseudo >> 16
    pseudo = (pseudo & 0xFFFF) + pseudo >> 16
    put(frame, 50, UInt16(truncatingIfNeeded: pseudo))
    put(frame, 52, 0)
  }

  /// Clears the IP checksum, for a NIC that computes it in each segment.
  public static func clearIPChecksum(_ frame: UnsafeMutableRawPointer) { put(frame, 24, 0) }

  /// Writes a control frame.
  public static func writeControl(
    _ frame: UnsafeMutableRawPointer, destination: UInt64, source: UInt64, kind: Kind, _ value: UInt64,
    _ value2: UInt64 = 0, _ value3: UInt64 = 0
  ) {
    for position in 0..<controlSize { frame.storeBytes(of: 0, toByteOffset: position, as: UInt8.self) }
    writeAddresses(frame, destination: destination, source: source, type: controlType)
    frame.storeBytes(of: kind.rawValue, toByteOffset: kindOffset, as: UInt8.self)
    frame.storeBytes(of: value, toByteOffset: valueOffset, as: UInt64.self)
    frame.storeBytes(of: value2, toByteOffset: value2Offset, as: UInt64.self)
    frame.storeBytes(of: value3, toByteOffset: value3Offset, as: UInt64.self)
  }

  /// Writes the Ethernet header. An address is a number whose lowest byte comes first on the wire.
  private static func writeAddresses(
    _ frame: UnsafeMutableRawPointer, destination: UInt64, source: UInt64, type: UInt16
  ) {
    for index in 0..<6 {
      frame.storeBytes(
        of: UInt8(truncatingIfNeeded: destination >> UInt64(8 * index)), toByteOffset: index, as: UInt8.self)
      frame.storeBytes(
        of: UInt8(truncatingIfNeeded: source >> UInt64(8 * index)), toByteOffset: 6 + index, as: UInt8.self)
    }
    put(frame, 12, type)
  }

  @inline(__always)
  private static func put(_ frame: UnsafeMutableRawPointer, _ offset: Int, _ value: UInt16) {
    frame.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
  }

  // MARK: Reading

  public static func type(_ frame: UnsafeRawPointer) -> UInt16 {
    UInt16(bigEndian: frame.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
  }

  /// Whether a frame is for the station with `address`, or for a group.
  public static func isFor(_ frame: UnsafeRawPointer, address: UInt64) -> Bool {
    let destination =
      UInt64(frame.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
      | UInt64(frame.loadUnaligned(fromByteOffset: 4, as: UInt16.self)) << 32
    return destination == address || destination & 1 != 0
  }

  public static func source(_ frame: UnsafeRawPointer) -> UInt64 {
    UInt64(frame.loadUnaligned(fromByteOffset: 6, as: UInt32.self))
      | UInt64(frame.loadUnaligned(fromByteOffset: 10, as: UInt16.self)) << 32
  }

  public static func kind(_ frame: UnsafeRawPointer) -> Kind? {
    Kind(rawValue: frame.load(fromByteOffset: kindOffset, as: UInt8.self))
  }

  public static func value(_ frame: UnsafeRawPointer, at offset: Int) -> UInt64 {
    frame.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
  }

  /// A data frame's offset in the stream: its TCP sequence number.
  public static func sequence(_ frame: UnsafeRawPointer) -> UInt32 {
    UInt32(bigEndian: frame.loadUnaligned(fromByteOffset: 38, as: UInt32.self))
  }

  /// Payload bytes of a data frame, according to its IP header.
  public static func payloadCount(_ frame: UnsafeRawPointer) -> Int {
    Int(UInt16(bigEndian: frame.loadUnaligned(fromByteOffset: 16, as: UInt16.self))) - 40
  }
}
