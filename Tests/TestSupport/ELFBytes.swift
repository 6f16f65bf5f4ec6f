/// An ELF file by literal offsets: a header of 64 bytes, program headers of 56, then the contents.
package enum ELFBytes {
  package typealias Segment = (type: UInt32, address: UInt64, bytes: [UInt8], memorySize: UInt64)
  /// Size of name, size of value, type 18, "Xen", the entry point.
  package static let note: [UInt8] = [4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0, 0x58, 0x65, 0x6E, 0, 0x00, 0x00, 0x10, 0]

  package static func make(_ segments: [Segment]) -> [UInt8] {
    func little(_ value: UInt64, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
    var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
    file += little(2, 2) + little(62, 2) + little(1, 4) + little(0x10_0000, 8) + little(64, 8) + little(0, 8)
    file += little(0, 4) + little(64, 2) + little(56, 2) + little(UInt64(segments.count), 2) + little(0, 6)
    var offset = UInt64(64 + 56 * segments.count)
    for segment in segments {
      file += little(UInt64(segment.type), 4) + little(5, 4) + little(offset, 8) + little(0, 8)
      file += little(segment.address, 8) + little(UInt64(segment.bytes.count), 8) + little(segment.memorySize, 8)
      file += little(0, 8)
      offset += UInt64(segment.bytes.count)
    }
    return file + segments.flatMap(\.bytes)
  }

  /// The same with a header of 52 bytes and program headers of 32 (ELF-32, EM_386).
  package static func make32(_ segments: [Segment]) -> [UInt8] {
    func little(_ value: UInt64, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
    var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 1, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
    file += little(2, 2) + little(3, 2) + little(1, 4) + little(0x10_0000, 4) + little(52, 4) + little(0, 4)
    file += little(0, 4) + little(52, 2) + little(32, 2) + little(UInt64(segments.count), 2) + little(0, 6)
    var offset = UInt64(52 + 32 * segments.count)
    for segment in segments {
      file += little(UInt64(segment.type), 4) + little(offset, 4) + little(0, 4) + little(segment.address, 4)
      file += little(UInt64(segment.bytes.count), 4) + little(segment.memorySize, 4) + little(5, 4) + little(0, 4)
      offset += UInt64(segment.bytes.count)
    }
    return file + segments.flatMap(\.bytes)
  }

  package static let code: Segment = (1, 0x10_0000, [0xF4, 0xEB, 0xFD], 0x1000)
  package static let noted: Segment = (4, 0, note, 20)
}
