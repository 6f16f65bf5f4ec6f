import Boot
import Failures
import GuestMemory

/// Parses and loads a kernel file of any bytes: a bzImage or an ELF file with a PVH note.
final class ImageParser {
  private let memory: GuestMemory
  private let initialRAMDisk = BootFile([UInt8](repeating: 0x5A, count: 5000), name: "initrd")

  init() throws { memory = try GuestMemory(size: 4 << 20) }

  func parse(_ bytes: UnsafeRawBufferPointer) {
    do throws(Failure) {
      let image = try KernelImage(BootFile(Array(bytes), name: "kernel"))
      _ = try image.load(commandLine: "quiet", initialRAMDisk: nil, processors: 1, into: memory)
      _ = try image.load(commandLine: "quiet", initialRAMDisk: initialRAMDisk, processors: 4, into: memory)
    } catch { Self.require(error) }
  }

  /// A failure has a text, and a short one whatever the input is.
  static func require(_ failure: Failure, limit: Int = 4096) {
    check((1..<limit).contains(failure.description.utf8.count), "a failure without a text, or with a long one")
  }
}
