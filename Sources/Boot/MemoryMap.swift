import GuestMemory

/// The map of physical addresses that a PC's firmware reports: E820 entries (ACPI 6.4, 15).
struct MemoryMap {
  enum Kind: UInt32 {
    case usable = 1
    case reserved
  }
  struct Entry: Equatable {
    var start: UInt64
    var size: UInt64
    var kind: Kind
  }
  let entries: [Entry]

  init(_ memory: GuestMemory) {
    var entries: [Entry] = []
    for region in memory.regions {
      let size = UInt64(region.count)
      guard region.guestAddress == 0 else {
        entries.append(Entry(start: region.guestAddress, size: size, kind: .usable))
        continue
      }
      // Reserve the last KiB below 640 KiB, and the ROM area with the firmware's tables.
      entries.append(Entry(start: 0, size: min(size, 0x9_FC00), kind: .usable))
      entries.append(Entry(start: 0x9_FC00, size: 0x400, kind: .reserved))
      entries.append(Entry(start: 0xE_0000, size: 0x2_0000, kind: .reserved))
      if size > 0x10_0000 { entries.append(Entry(start: 0x10_0000, size: size - 0x10_0000, kind: .usable)) }
    }
    self.entries = entries
  }
}
