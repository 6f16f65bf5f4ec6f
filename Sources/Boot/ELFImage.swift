import Failures

/// An x86-64 ELF executable that boots by PVH: its loadable segments and its 32-bit entry point.
///
/// Parses an untrusted file: every offset is checked against the file before it is used.
public struct ELFImage: Sendable {
  /// A piece of the file and where in guest memory it belongs (a PT_LOAD program header).
  public struct Segment: Sendable, Equatable {
    public var fileOffset: Int
    public var fileSize: Int
    public var address: UInt64
    public var memorySize: UInt64
  }

  let file: BootFile
  public let segments: [Segment]
  /// The physical address of the note XEN_ELFNOTE_PHYS32_ENTRY.
  public let pvhEntry: UInt32

  /// Notes of a kernel have some hundred bytes.
  private static let largestNotes = 1 << 20

  public init(_ file: BootFile) throws(Failure) {
    let action = "load \(file.name)"
    let header = try file.bytes(0..<64)
    guard header.count == 64, header.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
      throw Failure(action, cause: "it is not an ELF file", mend: "Give an ELF kernel with a PVH note.")
    }
    guard header[4] == 2, header[5] == 1, header.number(18, UInt16.self) == 62 else {
      throw Failure(action, cause: "it is not a 64-bit ELF for x86-64", mend: "Give an x86-64 kernel.")
    }
    let fileCount = UInt64(file.count)
    guard let tableOffset = header.number(32, UInt64.self), let entrySize = header.number(54, UInt16.self),
      let entryCount = header.number(56, UInt16.self), entrySize >= 56,
      tableOffset <= fileCount, UInt64(entryCount) * UInt64(entrySize) <= fileCount - tableOffset
    else { throw Self.truncated(action, "its program headers lie beyond its end") }

    var segments: [Segment] = []
    var pvhEntry: UInt32?
    for index in 0..<Int(entryCount) {
      let start = Int(tableOffset) + index * Int(entrySize)
      let entry = try file.bytes(start..<start + 56)
      guard let type = entry.number(0, UInt32.self), let offset = entry.number(8, UInt64.self),
        let physical = entry.number(24, UInt64.self), let fileSize = entry.number(32, UInt64.self),
        let memorySize = entry.number(40, UInt64.self)
      else { throw Self.truncated(action, "program header \(index) is cut") }
      guard type == 1 || type == 4 else { continue }
      guard offset <= fileCount, fileSize <= fileCount - offset else {
        throw Self.truncated(action, "segment \(index) lies beyond its end")
      }
      if type == 4 {
        guard pvhEntry == nil, fileSize <= Self.largestNotes else { continue }
        pvhEntry = Self.pvhEntry(in: try file.bytes(Int(offset)..<Int(offset + fileSize)))
      } else if memorySize > 0 {
        guard fileSize <= memorySize, !physical.addingReportingOverflow(memorySize).overflow else {
          throw Failure(
            action, cause: "segment \(index) is larger in the file than in memory, or wraps around",
            mend: "Link it again; readelf -lW shows its segments.")
        }
        segments.append(
          Segment(fileOffset: Int(offset), fileSize: Int(fileSize), address: physical, memorySize: memorySize))
      }
    }
    let sorted = segments.sorted { $0.address < $1.address }
    for (lower, upper) in zip(sorted, sorted.dropFirst()) where upper.address - lower.address < lower.memorySize {
      throw Failure(
        action, cause: "two segments overlap at 0x\(String(upper.address, radix: 16))",
        mend: "Link it again; readelf -lW shows its segments.")
    }
    guard !segments.isEmpty else {
      throw Failure(
        action, cause: "it has no loadable segment", mend: "Give a linked kernel; readelf -lW shows its segments.")
    }
    guard let pvhEntry else {
      throw Failure(
        action, cause: "it has no PVH entry point (ELF note XEN_ELFNOTE_PHYS32_ENTRY)",
        mend: "Build the kernel with CONFIG_PVH=y.")
    }
    self.file = file
    self.segments = segments
    self.pvhEntry = pvhEntry
  }

  private static func truncated(_ action: String, _ why: String) -> Failure {
    Failure(action, cause: "the file is truncated: \(why)", mend: "Copy or build it again.")
  }

  /// Looks for the note of type 18 by "Xen" in a PT_NOTE segment.
  private static func pvhEntry(in bytes: [UInt8]) -> UInt32? {
    var position = 0
    while position <= bytes.count - 12 {
      let words = bytes.withUnsafeBytes { raw in
        (0..<3).map { Int(raw.loadUnaligned(fromByteOffset: position + 4 * $0, as: UInt32.self)) }
      }
      let name = position + 12
      let (nameSize, valueSize, type) = (words[0], words[1], words[2])
      let value = name + ((nameSize + 3) & ~3)
      guard value <= bytes.count, valueSize <= bytes.count - value else { return nil }
      if type == 18, nameSize == 4, valueSize >= 4, bytes[name..<name + 4].elementsEqual([0x58, 0x65, 0x6E, 0]) {
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: value, as: UInt32.self) }
      }
      position = value + ((valueSize + 3) & ~3)
    }
    return nil
  }
}

extension [UInt8] {
  /// The little-endian number at `offset`, or nil where it would pass the end.
  func number<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T? {
    guard offset >= 0, offset <= count - MemoryLayout<T>.size else { return nil }
    return withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
  }
}
