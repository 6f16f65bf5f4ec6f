/// One step of the guest or of the world around its machine, decoded from 8 bytes of a fuzzer's input.
///
/// Every input is thus a list of valid operations. A record has a fixed size, so that a mutation of one operation does
/// not change the others.
package struct Operation {
  package static let size = 8
  /// The most operations of one input.
  package static let limit = 512

  /// Chooses what to do, modulo the number of the target's operations.
  var code: UInt8
  var selector: UInt8
  var half: UInt16
  var word: UInt32

  /// The record at byte `start`; nil if it is not complete.
  init?(_ bytes: UnsafeRawBufferPointer, at start: Int) {
    guard start + Self.size <= bytes.count else { return nil }
    code = bytes[start]
    selector = bytes[start + 1]
    half = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 2, as: UInt16.self))
    word = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self))
  }

  package init(_ code: UInt8, _ selector: UInt8 = 0, _ half: UInt16 = 0, _ word: UInt32 = 0) {
    self.code = code
    self.selector = selector
    self.half = half
    self.word = word
  }

  /// The 8 bytes.
  package var bytes: [UInt8] {
    [code, selector] + (0..<2).map { UInt8(truncatingIfNeeded: half >> (8 * $0)) }
      + (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
  }

  /// 1, 2, 4 or 8 bytes, from the upper bits of the selector.
  var width: Int { 1 << Int(selector >> 6) }

  /// The word in both halves of 64 bits, or zero-extended if it is small.
  var long: UInt64 { word < 0x1_0000 ? UInt64(word) : UInt64(word) | UInt64(word) << 32 }

  var wordHigh: UInt16 { UInt16(truncatingIfNeeded: word >> 16) }
  var wordLow: UInt16 { UInt16(truncatingIfNeeded: word) }

  func byte(_ index: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: word >> (8 * index)) }
}
