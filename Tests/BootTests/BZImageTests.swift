import Boot
import Failures
import GuestMemory
import Testing

/// A bzImage by literal offsets: one setup sector, and a payload of 1 KiB of which byte n is n mod 251.
enum BZImageBytes {
  static let payload = (0..<1024).map { UInt8($0 % 251) }

  /// - Parameter change: bytes to set, by offset.
  static func make(_ change: [Int: [UInt8]] = [:]) -> [UInt8] {
    var file = [UInt8](repeating: 0, count: 1024) + payload
    let fields: [Int: [UInt8]] = [
      0x1F1: [1],  // setup_sects
      0x1F4: [64, 0, 0, 0],  // syssize, in paragraphs
      0x1FE: [0x55, 0xAA],
      0x200: [0xEB, 0x6A],  // the header ends at 0x202 + 0x6A
      0x202: Array("HdrS".utf8),
      0x206: [0x0F, 0x02],  // 2.15
      0x211: [1],
      0x22C: [0xFF, 0xFF, 0xFF, 0x7F],
      0x236: [0x7F, 0],
      0x238: [0xFF, 0x07, 0, 0],
      0x258: [0, 0, 0x40, 0, 0, 0, 0, 0],  // pref_address: 4 MiB
      0x260: [0, 0, 0x20, 0],  // init_size: 2 MiB
    ]
    for (offset, bytes) in fields.merging(change, uniquingKeysWith: { $1 }) {
      file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
    return file
  }
}

@Suite("bzImage kernels (Linux x86 boot protocol, 64-bit)")
struct BZImageTests {
  @discardableResult
  private func load(
    _ bytes: [UInt8] = BZImageBytes.make(), commandLine: String = "quiet", initialRAMDisk: [UInt8]? = nil,
    memory: GuestMemory
  ) throws -> EntryState {
    try KernelImage(BootFile(bytes, name: "k")).load(
      commandLine: commandLine,
      initialRAMDisk: initialRAMDisk.map { BootFile($0, name: "i") }, processors: 1, into: memory)
  }

  private func failure(_ bytes: [UInt8]) throws -> String? {
    let memory = try GuestMemory(size: 8 << 20)
    do { try load(bytes, memory: memory) } catch { return (error as? Failure)?.description }
    return nil
  }

  @Test("the payload is at pref_address, and its entry is 512 bytes in, in 64-bit mode")
  func entry() throws {
    let memory = try GuestMemory(size: 16 << 20)
    let entry = try load(memory: memory)
    #expect(
      entry
        == .longMode(
          instructionPointer: 0x40_0200, bootParameters: 0x8000, pageTables: 0x9000, descriptors: 0xF000))
    #expect(memory.slice(at: 0x40_0000, count: 1025).map { Array($0) } == BZImageBytes.payload + [0])
  }

  @Test("the boot parameters hold the setup header, the command line, the E820 map and the RSDP (zero-page.rst)")
  func bootParameters() throws {
    let memory = try GuestMemory(size: 16 << 20)
    try load(initialRAMDisk: [9, 8, 7], memory: memory)
    let page: UInt64 = 0x8000
    #expect(memory.slice(at: page + 0x202, count: 4).map { Array($0) } == Array("HdrS".utf8))
    #expect(memory.load(UInt64.self, at: page + 0x258) == 0x40_0000)
    // The bytes after the header in the file are not copied.
    #expect(memory.load(UInt64.self, at: page + 0x26C) == 0)
    #expect(memory.load(UInt8.self, at: page + 0x210) == 0xFF)
    let line = UInt64(try #require(memory.load(UInt32.self, at: page + 0x228)))
    #expect(memory.slice(at: line, count: 6).map { Array($0) } == Array("quiet".utf8) + [0])
    #expect(memory.load(UInt32.self, at: page + 0x218) == 0xFF_F000)
    #expect(memory.load(UInt32.self, at: page + 0x21C) == 3)
    #expect(memory.slice(at: 0xFF_F000, count: 3).map { Array($0) } == [9, 8, 7])
    #expect(memory.load(UInt64.self, at: page + 0x70) == 0xE_0000)
    #expect(memory.load(UInt8.self, at: page + 0x1E8) == 4)
    let last = page + 0x2D0 + 60
    #expect(memory.load(UInt64.self, at: last) == 0x10_0000)
    #expect(memory.load(UInt64.self, at: last + 8) == 0xF0_0000)
    #expect(memory.load(UInt32.self, at: last + 16) == 1)
  }

  @Test("page tables map 4 GiB to itself, and the GDT has __BOOT_CS at 10H and __BOOT_DS at 18H (SDM 3, 4.5 and 3.4.5)")
  func tables() throws {
    let memory = try GuestMemory(size: 16 << 20)
    try load(memory: memory)
    #expect(memory.load(UInt64.self, at: 0x9000) == 0xA003)
    #expect((0..<5).map { memory.load(UInt64.self, at: 0xA000 + 8 * $0) } == [0xB003, 0xC003, 0xD003, 0xE003, 0])
    #expect(memory.load(UInt64.self, at: 0xB000) == 0x83)
    #expect(memory.load(UInt64.self, at: 0xEFF8) == 0xFFE0_0083)
    #expect(memory.load(UInt64.self, at: 0xF010) == 0x00AF_9B00_0000_FFFF)
    #expect(memory.load(UInt64.self, at: 0xF018) == 0x00CF_9300_0000_FFFF)
  }

  @Test("a file that cannot boot is refused with one line that names the fix")
  func refusals() throws {
    let again = "Copy it again from its package."
    #expect(try failure(Array(BZImageBytes.make().dropLast(16))) == "load k: the file is truncated. \(again)")
    #expect(try failure(Array(BZImageBytes.make().prefix(0x210))) == "load k: the file is truncated. \(again)")
    let old = "load k: it is a 32-bit kernel, or older than Linux 3.8. Give an amd64 kernel. Check it with: file k"
    #expect(try failure(BZImageBytes.make([0x236: [0x7E, 0]])) == old)
    #expect(try failure(BZImageBytes.make([0x206: [0x0B, 0x02]])) == old)
    #expect(
      try failure(BZImageBytes.make([0x260: [0, 0, 0x50, 0]]))
        == "load k: it needs memory up to 9 MiB, but the guest has 8 MiB. Give the guest more with --memory.")
    #expect(try failure(BZImageBytes.make([0x258: [0, 0, 0, 0]]))?.contains("its load address is 0x0") == true)
    for high in [0xC0, 0xBF] as [UInt8] {
      #expect(try failure(BZImageBytes.make([0x258: [0, 0, 0xF0, high]]))?.contains("its header is damaged") == true)
    }
    var arm = [UInt8](repeating: 0, count: 4096)
    arm.replaceSubrange(0x38..<0x3C, with: [0x41, 0x52, 0x4D, 0x64])
    let fix = "Give an x86-64 bzImage (vmlinuz) or an ELF with a PVH note (vmlinux)."
    #expect(try failure(arm) == "load k: it is an arm64 kernel. \(fix)")
    #expect(
      try failure([0x1F, 0x8B, 8]) == "load k: it is a gzip file, like kernels of some other architectures. \(fix)")
    #expect(try failure([]) == "load k: it is empty. \(fix)")
    #expect(try failure(Array("#!/bin/sh".utf8)) == "load k: it is neither a bzImage nor an ELF file. \(fix)")
  }

  @Test("a command line is bounded by the kernel's own cmdline_size")
  func commandLine() throws {
    let memory = try GuestMemory(size: 8 << 20)
    let short = BZImageBytes.make([0x238: [10, 0, 0, 0]])
    try load(short, commandLine: "0123456789", memory: memory)
    let failure = #expect(throws: Failure.self) { try load(short, commandLine: "0123456789a", memory: memory) }
    #expect(failure?.description.contains("has 11 bytes, but the kernel takes at most 10. Shorten") == true)
    #expect(throws: Failure.self) {
      try load(
        BZImageBytes.make([0x238: [0xFF, 0xFF, 0xFF, 0xFF]]), commandLine: String(repeating: "a", count: 2048),
        memory: memory)
    }
  }

  @Test("a truncated file or one with an extreme header byte does not trap")
  func damaged() throws {
    let whole = BZImageBytes.make()
    for count in 0..<whole.count {
      #expect(try failure(Array(whole.prefix(count))) != nil || count + 15 >= whole.count)
    }
    for offset in 0x1F1..<0x290 {
      for value in [0, 0x7F, 0x80, 0xFF] as [UInt8] {
        var bytes = whole
        for more in offset..<offset + 8 {
          bytes[more] = value
          _ = try failure(bytes)
        }
      }
    }
  }
}
