// The encoding that all tables of a firmware share.

/// The low `count` bytes of `value`, lowest first.
func little(_ value: some FixedWidthInteger, _ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// Text of exactly `count` bytes, with spaces behind it.
func padded(_ text: String, _ count: Int) -> [UInt8] {
  Array((Array(text.utf8) + [UInt8](repeating: 0x20, count: count)).prefix(count))
}

extension Sequence<UInt8> {
  /// The byte that brings the sum of all to 0.
  var checksum: UInt8 { 0 &- reduce(0, &+) }
}
