import Failures
import GuestMemory

/// A kernel file of one of the two supported formats, which have different magic numbers.
package enum KernelImage: Sendable {
  /// A PVH ELF file, such as `vmlinux` or a test guest.
  case elf(ELFImage)
  /// Linux as distributions ship it, `vmlinuz`.
  case bzImage(BZImage)

  /// Parses an untrusted file.
  package init(_ file: BootFile) throws(Failure) {
    let head = try file.bytes(0..<BZImage.headSize)
    if BZImage.isOne(head) {
      self = .bzImage(try BZImage(file, head: head))
    } else if head.starts(with: [0x7F, 0x45, 0x4C, 0x46]) {
      self = .elf(try ELFImage(file))
    } else {
      throw Failure(
        "load \(file.name)", cause: Self.guess(head),
        fix: "Give an x86-64 bzImage (vmlinuz) or an ELF with a PVH note (vmlinux).")
    }
  }

  /// Guesses the format of an unsupported file from its first bytes.
  private static func guess(_ head: [UInt8]) -> String {
    if head.isEmpty { return "it is empty" }
    if head.count > 0x3C, head[0x38..<0x3C].elementsEqual([0x41, 0x52, 0x4D, 0x64]) { return "it is an arm64 kernel" }
    if head.starts(with: [0x1F, 0x8B]) { return "it is a gzip file, like kernels of some other architectures" }
    return "it is neither a bzImage nor an ELF file"
  }

  private var file: BootFile {
    switch self {
    case .elf(let image): image.file
    case .bzImage(let image): image.file
    }
  }

  /// Loads the kernel, the initial RAM disk, the boot data and the firmware's tables into guest memory.
  ///
  /// - Parameter processors: number of vCPUs in the firmware's tables.
  /// - Returns: the state in which the first vCPU enters the kernel.
  package func load(
    commandLine: String, initialRAMDisk: BootFile?, processors: Int, into memory: GuestMemory
  ) throws(Failure) -> EntryState {
    guard memory.slice(at: 0, count: Int(BootLayout.firmware.upperBound)) != nil else {
      throw Failure(
        "start \(file.name)", cause: "the guest has only \(memory.size) bytes of memory",
        fix: "Give the guest more with --memory."
      )
    }
    let rootPointer = FirmwareTables(processors: processors).write(into: memory)
    switch self {
    case .elf(let image):
      return try image.load(
        commandLine: commandLine, initialRAMDisk: initialRAMDisk, rootPointer: rootPointer, into: memory)
    case .bzImage(let image):
      return try image.load(
        commandLine: commandLine, initialRAMDisk: initialRAMDisk, rootPointer: rootPointer, into: memory)
    }
  }
}
