import Failures
import GuestMemory

/// Xen's PVH boot ABI: hvm_start_info version 1, its memory map and its list of modules.
extension ELFImage {
  func load(
    commandLine: String, initialRAMDisk: BootFile?, rootPointer: UInt64, into memory: GuestMemory
  ) throws(Failure) -> EntryState {
    for segment in segments { try place(segment, into: memory) }
    try BootLayout.placeCommandLine(commandLine, name: file.name, into: memory)

    let map = MemoryMap(memory).entries
    for (index, entry) in map.enumerated() {
      let address = BootLayout.memoryMap + 24 * UInt64(index)
      memory.store(entry.start, at: address)
      memory.store(entry.size, at: address + 8)
      memory.store(UInt64(entry.kind.rawValue), at: address + 16)
    }
    if let initialRAMDisk {
      // Above the firmware's tables, which end at 1 MiB.
      let end = max(segments.map { $0.address + $0.memorySize }.max() ?? 0, BootLayout.firmware.upperBound)
      // Linux requires it below 2 GiB.
      let place = try BootLayout.placeInitialRAMDisk(
        initialRAMDisk, above: end, below: 0x8000_0000, into: memory)
      memory.store(place.lowerBound, at: BootLayout.modules)
      memory.store(UInt64(place.count), at: BootLayout.modules + 8)
      memory.store(UInt64(0), at: BootLayout.modules + 16)  // its command line
      memory.store(UInt64(0), at: BootLayout.modules + 24)
    }
    let info = BootLayout.startInfo
    memory.store(UInt32(0x336E_C578), at: info)
    memory.store(UInt32(1), at: info + 4)  // version
    memory.store(UInt32(0), at: info + 8)  // flags
    memory.store(UInt32(initialRAMDisk == nil ? 0 : 1), at: info + 12)  // number of modules
    memory.store(initialRAMDisk == nil ? 0 : BootLayout.modules, at: info + 16)
    memory.store(BootLayout.commandLine, at: info + 24)
    memory.store(rootPointer, at: info + 32)
    memory.store(BootLayout.memoryMap, at: info + 40)
    memory.store(UInt64(map.count), at: info + 48)
    return .protectedMode(instructionPointer: pvhEntry, startInfo: UInt32(truncatingIfNeeded: info))
  }

  private func place(_ segment: Segment, into memory: GuestMemory) throws(Failure) {
    let end = segment.address &+ segment.memorySize
    guard segment.memorySize <= UInt64(memory.size),
      let target = memory.slice(at: segment.address, count: Int(segment.memorySize))
    else {
      throw Failure(
        "load \(file.name)",
        cause: "a segment at 0x\(String(segment.address, radix: 16)) of \(segment.memorySize) bytes does not fit in "
          + "\(memory.size >> 20) MiB",
        fix: "Give the guest more with --memory.")
    }
    for range in [BootLayout.reserved, BootLayout.firmware]
    where segment.address < range.upperBound && end > range.lowerBound {
      throw Failure(
        "load \(file.name)",
        cause: "a segment covers 0x\(String(range.lowerBound, radix: 16)) to 0x\(String(range.upperBound, radix: 16)), "
          + "which the VMM needs for boot data", fix: "Link it to another address, such as 0x100000.")
    }
    try file.copy(segment.fileOffset..<segment.fileOffset + segment.fileSize, to: target)
  }
}
