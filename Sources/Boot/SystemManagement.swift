/// SMBIOS tables (DMTF DSP0134, version 2.8): the machine's vendor and its components. `dmidecode` and Linux's quirks
/// read them.
struct SystemManagement {
  let processors: Int
  /// In bytes.
  let memorySize: UInt64

  private enum Handle {
    static let firmware: UInt16 = 0x0000
    static let system: UInt16 = 0x0100
    static let chassis: UInt16 = 0x0300
    static let processor: UInt16 = 0x0400
    static let memoryArray: UInt16 = 0x1000
    static let memoryDevice: UInt16 = 0x1100
    static let end: UInt16 = 0x7F00
    /// The structure does not exist.
    static let none: UInt16 = 0xFFFE
    static let notGiven: UInt16 = 0xFFFF
  }
  /// The values "unknown", "other" and "safe" of most enumerations here.
  private static let unknown: UInt8 = 2
  private static let other: UInt8 = 1
  private static let safe: UInt8 = 3

  /// The entry point, followed by the structures, for the address `place`, a multiple of 16.
  func bytes(at place: UInt64) -> [UInt8] {
    let structures = structures
    let table = Array(structures.joined())
    let longest = structures.map(\.count).max() ?? 0
    // 5.2.1: the second part, for older readers, has its own checksum.
    var older = Array("_DMI_".utf8) + [0] + little(table.count, 2) + little(place + 32, 4)
    older += little(structures.count, 2) + [0x28]
    older[5] = older.checksum
    var entry = Array("_SM_".utf8) + [0, 31, 2, 8] + little(longest, 2) + [0] + [0, 0, 0, 0, 0] + older
    entry[4] = entry.checksum
    return entry + [0] + table
  }

  private var structures: [[UInt8]] {
    [
      Self.firmware, Self.system, Self.chassis, processor, memoryArray, memoryDevice,
      Self.structure(127, Handle.end, [], []),
    ]
  }

  /// 7.1: characteristics are not supported (bit 3), except in extension byte 2: the machine is virtual (bit 4).
  private static var firmware: [UInt8] {
    var body: [UInt8] = [1, 2] + little(0xF000, 2) + [3, 0]
    body += little(1 << 3, 8) + [0, 1 << 4]
    body += [0, 1, 0xFF, 0xFF]  // release 0.1; no embedded controller
    return structure(0, Handle.firmware, body, ["swiftlet", "0.1", ResetVector.date])
  }

  /// 7.2: zeros mean that there is no UUID; the wake-up type is the power switch.
  private static var system: [UInt8] {
    let body: [UInt8] = [1, 2, 0, 0] + [UInt8](repeating: 0, count: 16) + [6, 0, 0]
    return structure(1, Handle.system, body, ["swiftlet", "KVM virtual machine"])
  }

  /// 7.4.
  private static var chassis: [UInt8] {
    let body: [UInt8] = [1, other, 0, 0, 0, safe, safe, safe, unknown] + little(0, 4) + [0, 0, 0, 0, 0]
    return structure(3, Handle.chassis, body, ["swiftlet"])
  }

  /// 7.5: one package with a core for each vCPU.
  private var processor: [UInt8] {
    let count = UInt8(clamping: processors)
    var body: [UInt8] = [1, 3, Self.other, 0] + little(0, 8) + [0, 0]  // a central processor; identity: see CPUID
    body += little(0, 2) + little(0, 2) + little(0, 2)  // clocks are unknown
    body += [0x41, Self.other]  // populated and enabled; no socket of a known kind
    for _ in 0..<3 { body += little(Handle.notGiven, 2) }  // caches: see CPUID
    body += [0, 0, 0, count, count, count]
    body += little(1 << 2, 2)  // 64-bit capable
    body += little(1, 2)  // family 2: other
    return Self.structure(4, Handle.processor, body, ["CPU 0"])
  }

  /// 7.17: system memory without error correction; its size in KiB.
  private var memoryArray: [UInt8] {
    let size = memorySize >> 10
    // From 2 TiB on, the size is in the extended field, in bytes.
    let isLarge = size >= 0x8000_0000
    var body: [UInt8] = [Self.other, 3, 3] + little(isLarge ? 0x8000_0000 : size, 4)
    body += little(Handle.none, 2) + little(1, 2) + little(isLarge ? memorySize : 0, 8)
    return Self.structure(16, Handle.memoryArray, body, [])
  }

  /// 7.18: one device with all of the memory; its size in MiB.
  private var memoryDevice: [UInt8] {
    let size = memorySize >> 20
    // From 32 GiB - 1 MiB on, the size is in the extended field, in MiB.
    let isLarge = size >= 0x7FFF
    var body: [UInt8] = little(Handle.memoryArray, 2) + little(Handle.none, 2)
    body += little(0xFFFF, 2) + little(0xFFFF, 2)  // widths are unknown
    body += little(isLarge ? 0x7FFF : size, 2) + [Self.other, 0, 1, 0]  // form factor "other", in no set
    body += [7] + little(1 << 1, 2) + little(0, 2)  // RAM, detail "other"; its speed is unknown
    body += [0, 0, 0, 0, 0] + little(isLarge ? size : 0, 4) + little(0, 2)
    body += little(0, 2) + little(0, 2) + little(0, 2)  // voltages are unknown
    return Self.structure(17, Handle.memoryDevice, body, ["DIMM 0"])
  }

  /// 6.1: header, formatted area, zero-terminated strings, and one more zero; two zeros if there is no string.
  private static func structure(_ type: UInt8, _ handle: UInt16, _ body: [UInt8], _ strings: [String]) -> [UInt8] {
    let formatted = [type, UInt8(truncatingIfNeeded: body.count + 4)] + little(handle, 2) + body
    return formatted + strings.flatMap { Array($0.utf8) + [0] } + (strings.isEmpty ? [0, 0] : [0])
  }
}
