import Boot
import GuestMemory
import TestSupport

/// Guest memory with a kernel that was loaded for `processors` vCPUs, and helpers to read it.
struct LoadedMemory {
  let memory: GuestMemory

  init(processors: Int = 1, size: Int = 2 << 20) throws {
    memory = try GuestMemory(size: size)
    _ = try KernelImage(BootFile(ELFBytes.make([ELFBytes.code, ELFBytes.noted]), name: "k")).load(
      commandLine: "", initialRAMDisk: nil, processors: processors, into: memory)
  }

  func bytes(_ address: UInt64, _ count: Int) -> [UInt8] {
    memory.slice(at: address, count: count).map { Array($0) } ?? []
  }

  /// The paragraph of the BIOS segment that begins with `anchor`, as an operating system looks for it.
  func find(_ anchor: String) -> UInt64? {
    stride(from: 0xF_0000, to: 0x10_0000, by: 16).first { bytes($0, anchor.utf8.count).elementsEqual(anchor.utf8) }
  }
}
