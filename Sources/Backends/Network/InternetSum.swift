import GuestMemory

/// A ones' complement sum over bytes that arrive in pieces (RFC 1071).
public struct InternetSum: Sendable {
  /// Sum of little-endian 16-bit words. Byte order matters only when the result is read.
  private var total: UInt64 = 0
  private var isOdd = false

  public init() {}

  /// Adds one 16-bit word; `value` is the number that its big-endian bytes encode.
  public mutating func add(_ value: UInt16) { total &+= UInt64(value.byteSwapped) }

  public mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    var sum: UInt64 = 0
    var index = 0
    // Each word adds two 32-bit halves, so the sum cannot overflow within 2^31 words.
    while index &+ 8 <= bytes.count {
      let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      sum &+= (word & 0xFFFF_FFFF) &+ (word >> 32)
      index &+= 8
    }
    while index &+ 2 <= bytes.count {
      sum &+= UInt64(bytes.loadUnaligned(fromByteOffset: index, as: UInt16.self))
      index &+= 2
    }
    if index < bytes.count { sum &+= UInt64(bytes[index]) }
    let folded = Self.fold(sum)
    total &+= UInt64(isOdd ? folded.byteSwapped : folded)
    if bytes.count & 1 != 0 { isOdd.toggle() }
  }

  /// Adds `count` bytes of `list` from byte `offset` on, or fewer if the list ends before.
  public mutating func add(_ list: ScatterList, from offset: Int, count: Int) {
    var skip = offset
    var left = count
    for piece in list.pieces where left > 0 {
      if skip >= piece.iov_len {
        skip -= piece.iov_len
        continue
      }
      let length = min(piece.iov_len - skip, left)
      add(UnsafeRawBufferPointer(start: piece.iov_base + skip, count: length))
      left -= length
      skip = 0
    }
  }

  private static func fold(_ value: UInt64) -> UInt16 {
    var value = (value & 0xFFFF_FFFF) &+ (value >> 32)
    value = (value & 0xFFFF) &+ (value >> 16)
    value = (value & 0xFFFF) &+ (value >> 16)
    value = (value & 0xFFFF) &+ (value >> 16)
    return UInt16(truncatingIfNeeded: value)
  }

  /// The sum, as the number that its big-endian bytes encode.
  public var value: UInt16 { Self.fold(total).byteSwapped }
  /// The value for a checksum field.
  public var checksum: UInt16 { ~value }

  /// The sum of `count` bytes of `list` from `offset` on.
  public static func of(_ list: ScatterList, from offset: Int, count: Int) -> UInt16 {
    var sum = InternetSum()
    sum.add(list, from: offset, count: count)
    return sum.value
  }

  /// The sum of `bytes`.
  public static func of(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
    var sum = InternetSum()
    sum.add(bytes)
    return sum.value
  }
}
