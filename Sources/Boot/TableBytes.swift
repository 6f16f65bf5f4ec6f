// The encoding that all firmware tables share.

/// The low `count` bytes of `value`, lowest first.
func little(_ value: some FixedWidthInteger, _ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// Text of exactly `count` bytes, filled up with spaces or cut off.
func padded(_ text: String, _ count: Int) -> [UInt8] {
  Array((Array(text.utf8) + [UInt8](repeating: 0x20, count: count)).prefix(count))
}

extension Sequence<UInt8> {
  /// The byte that makes the sum of all bytes 0.
  var checksum: UInt8 { 0 &- reduce(0, &+) }
}
