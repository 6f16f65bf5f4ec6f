import Backends
import GuestMemory
import Testing

@Suite("The Internet checksum (RFC 1071)")
struct InternetSumTests {
  private static func bytes(_ count: Int, seed: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &+ seed) &* 167 &+ ($0 >> 3) &* 13) }
  }

  @Test("equals the plain sum for every length, alignment and first byte")
  func lengths() {
    for count in 1...70 {
      for alignment in 0..<9 {
        let bytes = Self.bytes(count, seed: alignment)
        let memory = PiecedMemory(bytes, alignment: alignment)
        for offset in 0..<min(count, 5) {
          let expected = naiveSum(Array(bytes[offset...]))
          #expect(InternetSum.of(memory.list, from: offset, count: count - offset) == expected)
        }
      }
    }
  }

  @Test("and for every way to split the bytes into three pieces")
  func pieces() {
    let bytes = Self.bytes(41, seed: 5)
    let expected = naiveSum(bytes)
    for first in 1..<40 {
      for second in first + 1..<41 {
        let memory = PiecedMemory(bytes, cuts: [first, second], alignment: first & 7)
        #expect(memory.list.pieces.count == 3)
        #expect(InternetSum.of(memory.list, from: 0, count: 41) == expected)
        let part = InternetSum.of(memory.list, from: 3, count: 30)
        #expect(part == naiveSum(Array(bytes[3..<33])))
      }
    }
  }

  @Test("carries are folded at the extremes")
  func extremes() {
    for value in [0x00, 0xFF, 0x80, 0x01] as [UInt8] {
      for count in [1, 2, 7, 8, 9, 1500, 65_535] {
        let bytes = [UInt8](repeating: value, count: count)
        let memory = PiecedMemory(bytes, cuts: [3, 8, 1001])
        #expect(InternetSum.of(memory.list, from: 0, count: count) == naiveSum(bytes))
        #expect(bytes.withUnsafeBytes { InternetSum.of($0) } == naiveSum(bytes))
      }
    }
  }
}
