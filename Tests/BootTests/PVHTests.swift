import Boot
import Failures
import GuestMemory
import TestSupport
import Testing

@Suite("The state in which a PVH kernel starts (hvm_start_info version 1)")
struct PVHTests {
  @discardableResult
  private func load(
    _ segments: [ELFBytes.Segment] = [ELFBytes.code, ELFBytes.noted], commandLine: String = "console=ttyS0",
    initialRAMDisk: [UInt8]? = nil, memory: GuestMemory
  ) throws -> EntryState {
    try KernelImage(BootFile(ELFBytes.make(segments), name: "k")).load(
      commandLine: commandLine,
      initialRAMDisk: initialRAMDisk.map { BootFile($0, name: "i") }, processors: 1, into: memory)
  }

  @Test("start info, memory map, command line and segments are in place")
  func layout() throws {
    let memory = try GuestMemory(size: 16 << 20)
    memory.store(UInt8(0xEE), at: 0x7000 + 13)
    #expect(try load(memory: memory) == .protectedMode(instructionPointer: 0x10_0000, startInfo: 0x6000))
    #expect(memory.load(UInt32.self, at: 0x6000) == 0x336E_C578)
    #expect(memory.load(UInt32.self, at: 0x6004) == 1)
    #expect(memory.load(UInt64.self, at: 0x6008) == 0)
    #expect(memory.load(UInt64.self, at: 0x6010) == 0)
    let line = try #require(memory.load(UInt64.self, at: 0x6018))
    #expect(memory.slice(at: line, count: 14).map { Array($0) } == Array("console=ttyS0".utf8) + [0])
    #expect(memory.load(UInt64.self, at: 0x6020) == 0xE_0000)
    let map = try #require(memory.load(UInt64.self, at: 0x6028))
    #expect(memory.load(UInt32.self, at: 0x6030) == 4)
    #expect(
      (0..<12).map { memory.load(UInt64.self, at: map + 8 * $0) }
        == [0, 0x9_FC00, 1, 0x9_FC00, 0x400, 2, 0xE_0000, 0x2_0000, 2, 0x10_0000, 0xF0_0000, 1])
    #expect(memory.slice(at: 0x10_0000, count: 4).map { Array($0) } == [0xF4, 0xEB, 0xFD, 0])
  }

  @Test("a 32-bit kernel starts like a 64-bit one, because PVH's entry is 32-bit code")
  func thirtyTwoBits() throws {
    let memory = try GuestMemory(size: 16 << 20)
    let entry = try KernelImage(BootFile(ELFBytes.make32([ELFBytes.code, ELFBytes.noted]), name: "k")).load(
      commandLine: "", initialRAMDisk: nil, processors: 1, into: memory)
    #expect(entry == .protectedMode(instructionPointer: 0x10_0000, startInfo: 0x6000))
    #expect(memory.slice(at: 0x10_0000, count: 4).map { Array($0) } == [0xF4, 0xEB, 0xFD, 0])
  }

  @Test("memory beyond 3 GiB is a fifth entry at 4 GiB")
  func highMemory() throws {
    let memory = try GuestMemory(size: 0xC000_0000 + (1 << 20))
    try load(memory: memory)
    #expect(memory.load(UInt64.self, at: 0x6030) == 5)
    #expect((12..<15).map { memory.load(UInt64.self, at: 0x6100 + 8 * $0) } == [0x1_0000_0000, 1 << 20, 1])
  }

  @Test("the initial RAM disk is the only module, page-aligned at the top of memory")
  func initialRAMDisk() throws {
    let memory = try GuestMemory(size: 16 << 20)
    try load(initialRAMDisk: [1, 2, 3], memory: memory)
    #expect(memory.load(UInt32.self, at: 0x600C) == 1)
    let module = try #require(memory.load(UInt64.self, at: 0x6010))
    #expect((0..<4).map { memory.load(UInt64.self, at: module + 8 * $0) } == [0xFF_F000, 3, 0, 0])
    #expect(memory.slice(at: 0xFF_F000, count: 4).map { Array($0) } == [1, 2, 3, 0])
    let large = try GuestMemory(size: 0xB000_0000)
    try load(initialRAMDisk: [7], memory: large)
    #expect(large.load(UInt64.self, at: module) == 0x7FFF_F000)
  }

  @Test("an initial RAM disk that does not fit above the kernel is refused with both sizes")
  func largeInitialRAMDisk() throws {
    let memory = try GuestMemory(size: 2 << 20)
    let kernel: ELFBytes.Segment = (1, 0x10_0000, [1], 0x8_0000)
    try load([kernel, ELFBytes.noted], initialRAMDisk: .init(repeating: 1, count: 512 << 10), memory: memory)
    let failure = #expect(throws: Failure.self) {
      try load([kernel, ELFBytes.noted], initialRAMDisk: .init(repeating: 1, count: 513 << 10), memory: memory)
    }
    #expect(
      failure?.description == "load the initial RAM disk i: it has 513 KiB, but there are only 512 KiB above the "
        + "kernel. Give the guest more with --memory.")
    #expect(throws: Failure.self) { try load(initialRAMDisk: [], memory: memory) }
    let large = try GuestMemory(size: 0x9000_0000)
    let high: ELFBytes.Segment = (1, 0x7FFF_F000, [1], 0x1000)
    let limited = #expect(throws: Failure.self) {
      try load([high, ELFBytes.noted], initialRAMDisk: [1], memory: large)
    }
    let fix = "The kernel accepts no RAM disk above 2048 MiB. Give a smaller one."
    #expect(limited?.description.hasSuffix(fix) == true)
  }

  @Test("a kernel that does not fit is an error that names the fix")
  func refusals() throws {
    let memory = try GuestMemory(size: 2 << 20)
    let cases: [(ELFBytes.Segment, String)] = [
      ((1, 0x1F_FFFF, [1], 2), "does not fit in 2 MiB. Give the guest more with --memory."),
      ((1, 0x4000_0000, [1], 1), "does not fit"), ((1, 0, [1], .max - 1), "does not fit"),
      ((1, 0xFFFF_FFFF_FFFF_F000, [1], 1), "does not fit"), ((1, 0xFFFF, [1], 1), "covers 0x6000 to 0x10000"),
      ((1, 0x5000, [1], 0x1001), "covers 0x6000"), ((1, 0x5000, [1], 0x4_0000), "covers 0x6000"),
      ((1, 0xF_FFFF, [1], 2), "covers 0xe0000 to 0x100000"),
    ]
    for (segment, text) in cases {
      let failure = #expect(throws: Failure.self) { try load([segment, ELFBytes.noted], memory: memory) }
      #expect(failure?.description.contains(text) == true, "\(failure?.description ?? "")")
    }
    try load([(1, 0x5000, [1], 0x1000), (1, 0x1_0000, [1], 1), ELFBytes.noted], memory: memory)
    let small = try GuestMemory(size: 0x7000)
    #expect(throws: Failure.self) { try load([(1, 0, [1], 1), ELFBytes.noted], memory: small) }
  }

  @Test("a command line has at most 2047 bytes, none of them zero")
  func commandLine() throws {
    let memory = try GuestMemory(size: 2 << 20)
    try load(commandLine: String(repeating: "a", count: 2047), memory: memory)
    let long = #expect(throws: Failure.self) {
      try load(commandLine: String(repeating: "a", count: 2048), memory: memory)
    }
    #expect(
      long?.description == "start k: the command line has 2048 bytes, but the kernel takes at most 2047. "
        + "Shorten --append.")
    let zero = #expect(throws: Failure.self) { try load(commandLine: "a\0b", memory: memory) }
    #expect(
      zero?.description == "start k: the command line has a zero byte, which would end it. Remove it from --append.")
  }
}
