import GuestMemory

/// The Internet checksum (RFC 1071): ones' complement sums of 16-bit words in network order.
public enum InternetChecksum {
  /// Adds the bytes to `sum`, the first of them at an odd place when `isOdd`.
  @inline(__always)
  static func add(_ bytes: UnsafeRawBufferPointer, to sum: UInt64, isOdd: Bool) -> UInt64 {
    var total: UInt64 = 0
    var offset = 0
    // Four words at a time; the end-around carry makes the order of bytes matter only by their parity.
    while offset + 8 <= bytes.count {
      let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      let (partial, carry) = total.addingReportingOverflow(word)
      total = partial &+ (carry ? 1 : 0)
      offset += 8
    }
    var folded = fold(total)
    while offset + 2 <= bytes.count {
      folded = fold(UInt64(folded) + UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
      offset += 2
    }
    if offset < bytes.count { folded = fold(UInt64(folded) + UInt64(bytes[offset])) }
    let word = isOdd ? folded : folded.byteSwapped
    return sum &+ UInt64(word)
  }

  /// Folds carries into 16 bits.
  static func fold(_ sum: UInt64) -> UInt16 {
    var value = (sum & 0xFFFF_FFFF) + (sum >> 32)
    value = (value & 0xFFFF) + (value >> 16)
    value = (value & 0xFFFF) + (value >> 16)
    return UInt16(truncatingIfNeeded: (value & 0xFFFF) + (value >> 16))
  }

  /// The sum, not yet inverted, of `count` bytes of `list` from `offset` on, in host order.
  public static func sum(_ list: ScatterList, from offset: Int, count: Int) -> UInt16 {
    var skip = offset
    var left = count
    var done = 0
    var total: UInt64 = 0
    for piece in list.pieces where left > 0 {
      if skip >= piece.iov_len {
        skip -= piece.iov_len
        continue
      }
      let length = min(piece.iov_len - skip, left)
      let bytes = UnsafeRawBufferPointer(start: piece.iov_base.map { $0 + skip }, count: length)
      total = add(bytes, to: total, isOdd: done % 2 == 1)
      done += length
      left -= length
      skip = 0
    }
    return fold(total)
  }

  /// The sum, not yet inverted, of the bytes, in host order.
  public static func sum(_ bytes: UnsafeRawBufferPointer) -> UInt16 { fold(add(bytes, to: 0, isOdd: false)) }
}
