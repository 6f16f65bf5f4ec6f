import Failures
import GuestMemory

/// A kernel file of one of the two kinds that boot here, told apart by their magic numbers.
package enum KernelImage: Sendable {
  /// A PVH ELF, as `vmlinux` or a test guest.
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

  /// What a file that is no kernel for this machine might be, by its first bytes.
  private static func guess(_ head: [UInt8]) -> String {
    if head.isEmpty { return "it is empty" }
    if head.count > 0x3C, head[0x38..<0x3C].elementsEqual([0x41, 0x52, 0x4D, 0x64]) { return "it is an arm64 kernel" }
    if head.starts(with: [0x1F, 0x8B]) { return "it is a gzip file, as kernels of other architectures are" }
    return "it is neither a bzImage nor an ELF file"
  }

  private var file: BootFile {
    switch self {
    case .elf(let image): image.file
    case .bzImage(let image): image.file
    }
  }

  /// Lays the kernel and all it is started with in guest memory.
  ///
  /// - Parameter processors: how many vCPUs the firmware's tables list.
  package func load(
    commandLine: String, initialRAMDisk: BootFile?, processors: Int, into memory: GuestMemory
  ) throws(Failure) -> EntryState {
    guard memory.slice(at: 0, count: Int(BootLayout.firmware.upperBound)) != nil else {
      throw Failure(
        "start \(file.name)", cause: "\(memory.size) bytes of memory are too few",
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
