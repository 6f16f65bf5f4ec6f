/// Steps by which a driver issues an ATA command.
enum ATA {
  /// A command with 28-bit registers.
  static func command(
    _ script: inout Script, _ code: UInt8, lba: UInt32 = 0, count: UInt8 = 1, features: UInt8 = 0, base: UInt64 = 0x1F0,
    device: UInt8 = 0xE0
  ) {
    script.outb(base + 6, device | UInt8(truncatingIfNeeded: lba >> 24) & 0x0F)
    script.outb(base + 1, features)
    script.outb(base + 2, count)
    script.outb(base + 3, UInt8(truncatingIfNeeded: lba))
    script.outb(base + 4, UInt8(truncatingIfNeeded: lba >> 8))
    script.outb(base + 5, UInt8(truncatingIfNeeded: lba >> 16))
    script.outb(base + 7, code)
  }

  /// A command with 48-bit registers: each is written twice, the high-order byte first.
  static func commandExt(
    _ script: inout Script, _ code: UInt8, lba: UInt64, count: UInt16, base: UInt64 = 0x1F0, device: UInt8 = 0xE0
  ) {
    script.outb(base + 6, device)
    for (register, high, low) in [
      (2 as UInt64, UInt64(count) >> 8, UInt64(count)), (3, lba >> 24, lba), (4, lba >> 32, lba >> 8),
      (5, lba >> 40, lba >> 16),
    ] {
      script.outb(base + register, UInt8(truncatingIfNeeded: high))
      script.outb(base + register, UInt8(truncatingIfNeeded: low))
    }
    script.outb(base + 7, code)
  }

  /// SRST on the primary channel.
  static func reset(_ script: inout Script) {
    script.outb(0x3F6, 0x04)
    script.outb(0x3F6, 0x00)
    script.settle()
  }

  /// 512 bytes that differ from sector to sector.
  static func sector(_ seed: Int) -> [UInt8] {
    (0..<512).map { UInt8(truncatingIfNeeded: $0 &* 11 &+ seed &* 29 &+ 5) }
  }
}
