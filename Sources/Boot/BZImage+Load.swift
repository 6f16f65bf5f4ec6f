import Failures
import GuestMemory

/// The 64-bit boot protocol (Linux, Documentation/x86/boot.rst, "64-bit Boot Protocol").
extension BZImage {
  /// Offsets in the boot parameters outside the setup header (zero-page.rst).
  private enum Parameter {
    static let rootPointer: UInt64 = 0x70
    static let memoryMapCount: UInt64 = 0x1E8
    static let memoryMap: UInt64 = 0x2D0
  }

  func load(
    commandLine: String, initialRAMDisk: BootFile?, rootPointer: UInt64, into memory: GuestMemory
  ) throws(Failure) -> EntryState {
    let lowSize = UInt64(memory.regions[0].count)
    let end = address + initialSize
    guard end <= lowSize, let target = memory.slice(at: address, count: payload.count) else {
      throw Failure(
        "load \(file.name)",
        cause: "it needs memory up to \((end + 0xF_FFFF) >> 20) MiB, but the guest has \(memory.size >> 20) MiB",
        fix: "Give the guest more with --memory.")
    }
    try file.copy(payload, to: target)
    try BootLayout.placeCommandLine(
      commandLine, maximum: maximumCommandLine, name: file.name, into: memory)

    let page = BootLayout.zeroPage
    head.withUnsafeBytes { head in
      _ = memory.write(UnsafeRawBufferPointer(rebasing: head[header]), at: page + UInt64(header.lowerBound))
    }
    memory.store(UInt8(0xFF), at: page + UInt64(Field.loaderType))  // a loader without an assigned number
    memory.store(UInt32(truncatingIfNeeded: BootLayout.commandLine), at: page + UInt64(Field.commandLine))
    if let initialRAMDisk {
      let place = try BootLayout.placeInitialRAMDisk(
        initialRAMDisk, above: end, below: ramdiskLimit, into: memory)
      memory.store(UInt32(truncatingIfNeeded: place.lowerBound), at: page + UInt64(Field.ramdiskAddress))
      memory.store(UInt32(truncatingIfNeeded: place.count), at: page + UInt64(Field.ramdiskSize))
    }
    memory.store(rootPointer, at: page + Parameter.rootPointer)
    let map = MemoryMap(memory).entries
    memory.store(UInt8(truncatingIfNeeded: map.count), at: page + Parameter.memoryMapCount)
    for (index, entry) in map.enumerated() {
      let place = page + Parameter.memoryMap + 20 * UInt64(index)
      memory.store(entry.start, at: place)
      memory.store(entry.size, at: place + 8)
      memory.store(entry.kind.rawValue, at: place + 16)
    }
    writeTables(into: memory)
    // The 64-bit entry point is at offset 512 of the payload.
    return .longMode(
      instructionPointer: address + 0x200, bootParameters: page, pageTables: BootLayout.pageTables,
      descriptors: BootLayout.globalDescriptorTable)
  }

  /// Writes page tables that identity-map the lowest 4 GiB with pages of 2 MiB, and a GDT with __BOOT_CS and __BOOT_DS.
  private func writeTables(into memory: GuestMemory) {
    let top = BootLayout.pageTables
    let (pointers, directories) = (top + 0x1000, top + 0x2000)
    memory.store(pointers | 0x3, at: top)
    for index in 0..<4 as Range<UInt64> {
      memory.store(directories + 0x1000 * index | 0x3, at: pointers + 8 * index)
    }
    for index in 0..<2048 as Range<UInt64> {
      memory.store(index << 21 | 0x83, at: directories + 8 * index)  // present, writable, 2 MiB
    }
    let descriptors: [UInt64] = [0, 0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF]
    for (index, descriptor) in descriptors.enumerated() {
      memory.store(descriptor, at: BootLayout.globalDescriptorTable + 8 * UInt64(index))
    }
  }
}
