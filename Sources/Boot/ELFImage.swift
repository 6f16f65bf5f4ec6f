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

  public let bytes: [UInt8]
  public let segments: [Segment]
  /// The physical address of the note XEN_ELFNOTE_PHYS32_ENTRY.
  public let pvhEntry: UInt32

  /// Parses `bytes`; `name` is the file's, for messages.
  public init(_ bytes: [UInt8], name: String) throws(Failure) {
    let action = "load \(name)"
    func number<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T? {
      guard offset >= 0, offset <= bytes.count - MemoryLayout<T>.size else { return nil }
      return bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }
    guard bytes.count >= 64, bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
      throw Failure(action, cause: "it is not an ELF file", mend: "Give an ELF kernel with a PVH note.")
    }
    guard bytes[4] == 2, bytes[5] == 1, number(18, UInt16.self) == 62 else {
      throw Failure(action, cause: "it is not a 64-bit ELF for x86-64", mend: "Give an x86-64 kernel.")
    }
    guard let tableOffset = number(32, UInt64.self), let entrySize = number(54, UInt16.self),
      let entryCount = number(56, UInt16.self), entrySize >= 56,
      tableOffset <= UInt64(bytes.count), UInt64(entryCount) * UInt64(entrySize) <= UInt64(bytes.count) - tableOffset
    else { throw Self.truncated(action, "its program headers lie beyond its end") }

    var segments: [Segment] = []
    var entry: UInt32?
    for index in 0..<Int(entryCount) {
      let header = Int(tableOffset) + index * Int(entrySize)
      guard let type = number(header, UInt32.self), let offset = number(header + 8, UInt64.self),
        let physical = number(header + 24, UInt64.self), let fileSize = number(header + 32, UInt64.self),
        let memorySize = number(header + 40, UInt64.self)
      else { throw Self.truncated(action, "program header \(index) is cut") }
      guard type == 1 || type == 4 else { continue }
      guard offset <= UInt64(bytes.count), fileSize <= UInt64(bytes.count) - offset else {
        throw Self.truncated(action, "segment \(index) lies beyond its end")
      }
      if type == 4 {
        entry = entry ?? Self.pvhEntry(in: bytes[Int(offset)..<Int(offset + fileSize)])
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
    guard let entry else {
      throw Failure(
        action, cause: "it has no PVH entry point (ELF note XEN_ELFNOTE_PHYS32_ENTRY)",
        mend: "Build the kernel with CONFIG_PVH=y.")
    }
    self.bytes = bytes
    self.segments = segments
    pvhEntry = entry
  }

  private static func truncated(_ action: String, _ why: String) -> Failure {
    Failure(action, cause: "the file is truncated: \(why)", mend: "Copy or build it again.")
  }

  /// Looks for the note of type 18 by "Xen" in a PT_NOTE segment.
  private static func pvhEntry(in notes: ArraySlice<UInt8>) -> UInt32? {
    let bytes = Array(notes)
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
