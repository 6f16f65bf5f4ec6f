import Failures
import GuestMemory

/// The state in which a vCPU enters a kernel.
public struct EntryState: Sendable, Equatable {
  /// rip: 32-bit protected mode, flat segments, paging off.
  public var instructionPointer: UInt32
  /// rbx: where the kernel finds what it was started with.
  public var startInfo: UInt32
}

/// Lays a PVH kernel, its start info and its command line in guest memory (Xen's PVH boot ABI, hvm_start_info version 1).
public enum PVHLoader {
  /// Below the conventional 640 KiB, where no kernel loads.
  static let startInfoAddress: UInt64 = 0x6000
  static let memoryMapAddress: UInt64 = 0x6100
  static let commandLineAddress: UInt64 = 0x7000
  /// Most bytes of a command line, with its final zero.
  public static let maximumCommandLine = 2048
  private static let reserved: Range<UInt64> = 0x6000..<0x8000

  public static func load(
    _ image: ELFImage, name: String, commandLine: String, into memory: GuestMemory
  ) throws(Failure) -> EntryState {
    let line = Array(commandLine.utf8)
    guard line.count < maximumCommandLine, !line.contains(0) else {
      throw Failure(
        "start \(name)", cause: "the command line has \(line.count) bytes, or a zero byte",
        mend: "At most \(maximumCommandLine - 1) bytes: shorten --append.")
    }
    guard memory.slice(at: reserved.lowerBound, count: reserved.count) != nil else {
      throw Failure(
        "start \(name)", cause: "\(memory.size) bytes of memory are too few", mend: "Give the guest more with --memory."
      )
    }
    for segment in image.segments { try place(segment, of: image, name: name, into: memory) }

    var map: [(start: UInt64, size: UInt64, type: UInt32)] = []
    // The last KiB below 640 KiB and the ROM area are not for the guest's use, as on any PC.
    for region in memory.regions {
      let size = UInt64(region.count)
      if region.guestAddress == 0 {
        map.append((0, min(size, 0x9_FC00), 1))
        if size > 0x10_0000 { map.append((0x10_0000, size - 0x10_0000, 1)) }
      } else {
        map.append((region.guestAddress, size, 1))
      }
    }
    for (index, entry) in map.enumerated() {
      let address = memoryMapAddress + 24 * UInt64(index)
      memory.store(entry.start, at: address)
      memory.store(entry.size, at: address + 8)
      memory.store(UInt64(entry.type), at: address + 16)
    }
    line.withUnsafeBytes { _ = memory.write($0, at: commandLineAddress) }
    memory.store(UInt8(0), at: commandLineAddress + UInt64(line.count))

    memory.store(UInt32(0x336E_C578), at: startInfoAddress)
    memory.store(UInt32(1), at: startInfoAddress + 4)  // version
    memory.store(UInt64(0), at: startInfoAddress + 8)  // flags, number of modules
    memory.store(UInt64(0), at: startInfoAddress + 16)  // modules
    memory.store(commandLineAddress, at: startInfoAddress + 24)
    memory.store(UInt64(0), at: startInfoAddress + 32)  // RSDP
    memory.store(memoryMapAddress, at: startInfoAddress + 40)
    memory.store(UInt64(map.count), at: startInfoAddress + 48)
    return EntryState(instructionPointer: image.pvhEntry, startInfo: UInt32(startInfoAddress))
  }

  private static func place(
    _ segment: ELFImage.Segment, of image: ELFImage, name: String, into memory: GuestMemory
  ) throws(Failure) {
    let end = segment.address &+ segment.memorySize
    guard segment.memorySize <= UInt64(memory.size),
      let target = memory.slice(at: segment.address, count: Int(segment.memorySize))
    else {
      throw Failure(
        "load \(name)",
        cause: "a segment at 0x\(String(segment.address, radix: 16)) of \(segment.memorySize) bytes does not fit in "
          + "\(memory.size >> 20) MiB",
        mend: "Give the guest more with --memory.")
    }
    guard segment.address >= reserved.upperBound || end <= reserved.lowerBound else {
      throw Failure(
        "load \(name)", cause: "a segment covers 0x6000 to 0x8000, where the start info lies",
        mend: "Link it to another address, as 0x100000.")
    }
    image.bytes.withUnsafeBytes { file in
      let part = file[segment.fileOffset..<segment.fileOffset + segment.fileSize]
      UnsafeMutableRawBufferPointer(rebasing: target[0..<segment.fileSize])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
    }
  }
}
