/// The test pattern that the disk programs of guest and host write.
///
/// The words of a sector count up from a number that depends on the sector's place and a generation. A check therefore
/// finds a wrong, stale or misplaced sector.
public enum TestDisk {
  @inline(__always)
  private static func base(_ sector: UInt64, _ generation: UInt64) -> UInt64 {
    (sector &+ 1) &* 0x9E37_79B9_7F4A_7C15 &+ generation &* 0xD1B5_4A32_D192_ED03
  }

  /// Fills whole sectors, from number `sector` on.
  public static func fill(_ bytes: UnsafeMutableRawBufferPointer, sector: UInt64, generation: UInt64) {
    guard let start = bytes.baseAddress else { return }
    for index in 0..<bytes.count / 512 {
      let first = base(sector &+ UInt64(index), generation)
      for word in 0..<64 {
        start.storeBytes(of: first &+ UInt64(word), toByteOffset: 512 * index + 8 * word, as: UInt64.self)
      }
    }
  }

  /// Whether the sectors have the contents that `fill` writes.
  public static func check(_ bytes: UnsafeRawBufferPointer, sector: UInt64, generation: UInt64) -> Bool {
    guard let start = bytes.baseAddress else { return false }
    var difference: UInt64 = 0
    for index in 0..<bytes.count / 512 {
      let first = base(sector &+ UInt64(index), generation)
      for word in 0..<64 {
        difference |=
          start.loadUnaligned(fromByteOffset: 512 * index + 8 * word, as: UInt64.self) ^ (first &+ UInt64(word))
      }
    }
    return difference == 0
  }
}
