/// Offsets of the headers' fields in a 64-bit and in a 32-bit ELF file (System V ABI, chapters 4 and 5).
struct ELFLayout {
  let headerSize: Int
  let programHeaderSize: Int
  /// Size in bytes of an address, an offset or a size field.
  private let wordSize: Int
  private let tableOffset: Int
  private let entrySize: Int
  private let fields: (offset: Int, physical: Int, fileSize: Int, memorySize: Int)

  /// The fields of a program header that a loader needs.
  struct ProgramHeader {
    var type: UInt32
    var offset: UInt64
    var physical: UInt64
    var fileSize: UInt64
    var memorySize: UInt64
  }

  private static let bits64 = ELFLayout(
    headerSize: 64, programHeaderSize: 56, wordSize: 8, tableOffset: 32, entrySize: 54, fields: (8, 24, 32, 40))
  private static let bits32 = ELFLayout(
    headerSize: 52, programHeaderSize: 32, wordSize: 4, tableOffset: 28, entrySize: 42, fields: (4, 12, 16, 20))

  /// The layout of a file that begins with `header`; nil unless it is ELF-64 for x86-64 or ELF-32 for the 80386.
  static func of(_ header: [UInt8]) -> ELFLayout? {
    guard header.count >= 20, header[5] == 1 else { return nil }
    // EI_CLASS, and e_machine: EM_X86_64 or EM_386.
    return switch (header[4], header.number(18, UInt16.self)) {
    case (2, 62): bits64
    case (1, 3): bits32
    default: nil
    }
  }

  /// The position of the program headers: e_phoff, e_phentsize and e_phnum; nil if the header is incomplete.
  func table(_ header: [UInt8]) -> (offset: UInt64, entrySize: Int, count: Int)? {
    guard let offset = word(header, tableOffset), let size = header.number(entrySize, UInt16.self),
      let count = header.number(entrySize + 2, UInt16.self)
    else { return nil }
    return (offset, Int(size), Int(count))
  }

  func programHeader(_ bytes: [UInt8]) -> ProgramHeader? {
    guard let type = bytes.number(0, UInt32.self), let offset = word(bytes, fields.offset),
      let physical = word(bytes, fields.physical), let fileSize = word(bytes, fields.fileSize),
      let memorySize = word(bytes, fields.memorySize)
    else { return nil }
    return ProgramHeader(
      type: type, offset: offset, physical: physical, fileSize: fileSize, memorySize: memorySize)
  }

  private func word(_ bytes: [UInt8], _ offset: Int) -> UInt64? {
    wordSize == 8 ? bytes.number(offset, UInt64.self) : bytes.number(offset, UInt32.self).map { UInt64($0) }
  }
}

extension [UInt8] {
  /// The little-endian number at `offset`; nil if it is not completely within the array.
  func number<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T? {
    guard offset >= 0, offset <= count - MemoryLayout<T>.size else { return nil }
    return withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
  }
}
