import Failures
import GuestMemory

/// Guest physical addresses of the boot data.
///
/// The boot data is in the lowest 64 KiB, where no kernel loads, except the firmware's tables, which are where a BIOS
/// has them.
enum BootLayout {
  static let reserved: Range<UInt64> = 0x6000..<0x1_0000
  static let startInfo: UInt64 = 0x6000
  static let modules: UInt64 = 0x6080
  static let memoryMap: UInt64 = 0x6100
  static let commandLine: UInt64 = 0x7000
  /// The boot parameters of Linux, 4 KiB.
  static let zeroPage: UInt64 = 0x8000
  /// Six pages: the identity map of the lowest 4 GiB.
  static let pageTables: UInt64 = 0x9000
  static let globalDescriptorTable: UInt64 = 0xF000
  /// The range that `FirmwareTables` uses; reserved in the memory map.
  static let firmware: Range<UInt64> = 0xE_0000..<0x10_0000
  static let acpiTables: Range<UInt64> = 0xE_0000..<0xF_0000
  /// The MP table has up to 6 KiB and SMBIOS less than 1 KiB. Kernels search both in the BIOS segment, from F0000H on.
  static let mpTable: UInt64 = 0xF_0000
  static let systemManagement: UInt64 = 0xF_8000
  /// Maximum length of a command line in bytes, with its final zero.
  static let maximumCommandLine = 2048

  /// Writes the command line with its final zero.
  static func placeCommandLine(
    _ text: String, maximum: Int = maximumCommandLine, name: String, into memory: GuestMemory
  ) throws(Failure) {
    let line = Array(text.utf8)
    guard !line.contains(0) else {
      throw Failure(
        "start \(name)", cause: "the command line has a zero byte, which would end it",
        fix: "Remove it from --append.")
    }
    guard line.count < maximum else {
      throw Failure(
        "start \(name)", cause: "the command line has \(line.count) bytes, but the kernel takes at most \(maximum - 1)",
        fix: "Shorten --append.")
    }
    line.withUnsafeBytes { _ = memory.write($0, at: commandLine) }
    memory.store(UInt8(0), at: commandLine + UInt64(line.count))
  }

  /// Loads the initial RAM disk above the kernel's end, as high as `limit` and the RAM below 4 GiB allow.
  static func placeInitialRAMDisk(
    _ disk: BootFile, above kernelEnd: UInt64, below limit: UInt64, into memory: GuestMemory
  ) throws(Failure) -> Range<UInt64> {
    let top = min(UInt64(memory.regions[0].count), limit)
    let count = UInt64(disk.count)
    let start = count <= top ? (top - count) & ~0xFFF : 0
    guard start >= kernelEnd, let target = memory.slice(at: start, count: disk.count) else {
      let room = top > kernelEnd ? top - kernelEnd : 0
      throw Failure(
        "load the initial RAM disk \(disk.name)",
        cause: count == 0
          ? "it is empty" : "it has \(count >> 10) KiB, but there are only \(room >> 10) KiB above the kernel",
        fix: count == 0
          ? "Give another with --initrd."
          : limit < UInt64(memory.regions[0].count)
            ? "The kernel accepts no RAM disk above \(limit >> 20) MiB. Give a smaller one."
            : "Give the guest more with --memory.")
    }
    try disk.copy(0..<disk.count, to: target)
    return start..<start + count
  }
}
