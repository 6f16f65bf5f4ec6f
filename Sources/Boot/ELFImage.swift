import Failures

/// An ELF executable for x86-64 or the 80386 that boots by PVH: its loadable segments and its 32-bit entry point.
///
/// Parses an untrusted file: every offset is checked against the file before it is used.
package struct ELFImage: Sendable {
  /// A part of the file and its address in guest memory (a PT_LOAD program header).
  package struct Segment: Sendable, Equatable {
    package var fileOffset: Int
    package var fileSize: Int
    package var address: UInt64
    package var memorySize: UInt64
  }

  private enum SegmentType {
    static let load: UInt32 = 1
    static let note: UInt32 = 4
    /// PT_INTERP and PT_TLS, which only a dynamic linker or a C library uses.
    static let ofPrograms: Set<UInt32> = [3, 7]
  }

  let file: BootFile
  package let segments: [Segment]
  /// The physical address of the note XEN_ELFNOTE_PHYS32_ENTRY.
  package let pvhEntry: UInt32

  /// Maximum size of a note segment in bytes; a kernel's has some hundred.
  private static let largestNotes = 1 << 20

  package init(_ file: BootFile) throws(Failure) {
    let action = "load \(file.name)"
    let header = try file.bytes(0..<64)
    guard header.count >= 52, header.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
      throw Failure(action, cause: "it is not an ELF file", fix: "Give an ELF kernel with a PVH note.")
    }
    guard let layout = ELFLayout.of(header) else {
      throw Failure(
        action, cause: "it is neither a 64-bit ELF for x86-64 nor a 32-bit one for the 80386",
        fix: "Give an x86 kernel.")
    }
    let fileCount = UInt64(file.count)
    guard header.count >= layout.headerSize, let table = layout.table(header),
      table.entrySize >= layout.programHeaderSize, table.offset <= fileCount,
      UInt64(table.count * table.entrySize) <= fileCount - table.offset
    else { throw Self.truncated(action, "its program headers are past its end") }

    var segments: [Segment] = []
    var notes = ELFNotes()
    // ELFOSABI_LINUX does not help here: linkers set it for kernels too.
    var isProgram = false
    for index in 0..<table.count {
      let start = Int(table.offset) + index * table.entrySize
      guard let entry = layout.programHeader(try file.bytes(start..<start + layout.programHeaderSize)) else {
        throw Self.truncated(action, "program header \(index) is incomplete")
      }
      if SegmentType.ofPrograms.contains(entry.type) { isProgram = true }
      guard entry.type == SegmentType.load || entry.type == SegmentType.note else { continue }
      guard entry.offset <= fileCount, entry.fileSize <= fileCount - entry.offset else {
        throw Self.truncated(action, "segment \(index) extends past its end")
      }
      if entry.type == SegmentType.note {
        guard entry.fileSize <= Self.largestNotes else { continue }
        notes.add(try file.bytes(Int(entry.offset)..<Int(entry.offset + entry.fileSize)))
      } else if entry.memorySize > 0 {
        guard entry.fileSize <= entry.memorySize, !entry.physical.addingReportingOverflow(entry.memorySize).overflow
        else {
          throw Failure(
            action, cause: "segment \(index) is larger in the file than in memory, or wraps around",
            fix: "Link it again; readelf -lW shows its segments.")
        }
        segments.append(
          Segment(
            fileOffset: Int(entry.offset), fileSize: Int(entry.fileSize), address: entry.physical,
            memorySize: entry.memorySize))
      }
    }
    let sorted = segments.sorted { $0.address < $1.address }
    for (lower, upper) in zip(sorted, sorted.dropFirst()) where upper.address - lower.address < lower.memorySize {
      throw Failure(
        action, cause: "two segments overlap at 0x\(String(upper.address, radix: 16))",
        fix: "Link it again; readelf -lW shows its segments.")
    }
    guard !segments.isEmpty else {
      throw Failure(
        action, cause: "it has no loadable segment", fix: "Give a linked kernel; readelf -lW shows its segments.")
    }
    guard let pvhEntry = notes.pvhEntry else {
      throw Self.withoutEntry(action, isProgram: isProgram, isLinux: notes.isLinux)
    }
    self.file = file
    self.segments = segments
    self.pvhEntry = pvhEntry
  }

  private static func truncated(_ action: String, _ why: String) -> Failure {
    Failure(action, cause: "the file is truncated: \(why)", fix: "Copy or build it again.")
  }

  /// The failure for an ELF file without a PVH entry. Its cause says what kind of file it is.
  private static func withoutEntry(_ action: String, isProgram: Bool, isLinux: Bool) -> Failure {
    if isProgram, !isLinux {
      return Failure(
        action, cause: "it is a program for Linux user space, not a kernel",
        fix: "Give a kernel: vmlinuz or vmlinux.")
    }
    let cause = "it has no PVH entry point (ELF note XEN_ELFNOTE_PHYS32_ENTRY)"
    return isLinux
      ? Failure(
        action, cause: "it is a Linux kernel, but \(cause)", fix: "Give its vmlinuz, or build it with CONFIG_PVH=y.")
      : Failure(
        action, cause: cause,
        fix: "Give a kernel that has one. For Linux: its vmlinuz, or a vmlinux with CONFIG_PVH=y.")
  }
}
