import Failures
import GuestMemory

/// A kernel file of one of the two kinds that boot here, told apart by their magic numbers.
public enum KernelImage: Sendable {
  /// A PVH ELF, as `vmlinux` or a test guest.
  case elf(ELFImage)
  /// Linux as distributions ship it, `vmlinuz`.
  case bzImage(BZImage)

  /// Parses `bytes`, an untrusted file; `name` is the file's, for messages.
  public init(_ bytes: [UInt8], name: String) throws(Failure) {
    if BZImage.isOne(bytes) {
      self = .bzImage(try BZImage(bytes, name: name))
    } else if bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) {
      self = .elf(try ELFImage(bytes, name: name))
    } else {
      throw Failure(
        "load \(name)", cause: Self.guess(bytes),
        mend: "Give an x86-64 bzImage (vmlinuz) or an ELF with a PVH note (vmlinux).")
    }
  }

  /// What a file that is no kernel for this machine might be.
  private static func guess(_ bytes: [UInt8]) -> String {
    if bytes.isEmpty { return "it is empty" }
    if bytes.count > 0x3C, bytes[0x38..<0x3C].elementsEqual([0x41, 0x52, 0x4D, 0x64]) {
      return "it is an arm64 kernel"
    }
    if bytes.starts(with: [0x1F, 0x8B]) { return "it is a gzip file, as kernels of other architectures are" }
    return "it is neither a bzImage nor an ELF file"
  }

  /// Lays the kernel and all it is started with in guest memory.
  ///
  /// - Parameter processors: how many vCPUs the ACPI tables tell of.
  public func load(
    name: String, commandLine: String, initialRAMDisk: InitialRAMDisk?, processors: Int, into memory: GuestMemory
  ) throws(Failure) -> EntryState {
    guard memory.slice(at: 0, count: Int(BootLayout.acpiTables.upperBound)) != nil else {
      throw Failure(
        "start \(name)", cause: "\(memory.size) bytes of memory are too few", mend: "Give the guest more with --memory."
      )
    }
    let rootPointer = ACPITables(processors: processors).write(into: memory)
    switch self {
    case .elf(let image):
      return try image.load(
        name: name, commandLine: commandLine, initialRAMDisk: initialRAMDisk, rootPointer: rootPointer, into: memory)
    case .bzImage(let image):
      return try image.load(
        name: name, commandLine: commandLine, initialRAMDisk: initialRAMDisk, rootPointer: rootPointer, into: memory)
    }
  }
}
