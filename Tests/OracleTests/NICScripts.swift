/// Scripts for the 82540EM's registers. Section numbers are those of *PCI/PCI-X Family of Gigabit Ethernet Controllers
/// Software Developer's Manual*.
enum NICScripts {
  static let all: [Script] =
    [resetValues, writeMasks, tables, eepromByEERD, eepromByPins, phy, phyWrites]
    + [interruptCauses, interruptMask, linkByControl, statistics]

  static func script(_ name: String, _ body: (inout Script) -> Void) -> Script {
    var script = Script("82540EM: \(name)")
    body(&script)
    return script
  }

  /// Every register of 13.4 to 13.8 that both devices may have, except statistics.
  static let registers: [UInt64] = [
    0x0000, 0x0008, 0x0010, 0x0014, 0x0018, 0x0020, 0x0028, 0x002C, 0x0030, 0x0038, 0x00C0, 0x00C4, 0x00C8, 0x00D0,
    0x00D8, 0x0100, 0x0170, 0x0178, 0x0400, 0x0410, 0x0458, 0x0E00, 0x1000, 0x2160, 0x2168, 0x2800, 0x2804, 0x2808,
    0x2810, 0x2818, 0x2820, 0x2828, 0x282C, 0x2C00, 0x3000, 0x3800, 0x3804, 0x3808, 0x3810, 0x3818, 0x3820, 0x3828,
    0x382C, 0x3830, 0x5000, 0x5800, 0x5808, 0x5810, 0x5820, 0x5838, 0x5900,
  ]

  static let resetValues = script("14.6, values after power-on") { script in
    let known: [UInt64: (KnownDifference, UInt64)] = [
      0x0000: (.nicControlReset, 0x0014_0001), 0x0008: (.nicStatus, 0x8008_0500), 0x0010: (.nicEEPROMGrant, 0x90),
      0x0410: (.nicResetValues, ~0), 0x0E00: (.nicResetValues, ~0), 0x2828: (.nicResetValues, ~0),
      0x3000: (.nicResetValues, 1), 0x5820: (.nicManagement, ~0),
    ]
    for register in registers { read(&script, register, known[register]?.0, bits: known[register]?.1 ?? 0) }
    for register in stride(from: 0x4000, through: 0x4124, by: 4) as StrideThrough<UInt64> { read(&script, register) }
    for register in [0x5400, 0x5404, 0x5408, 0x540C, 0x547C, 0x5200, 0x5600] as [UInt64] { read(&script, register) }
  }

  /// Registers whose writes only store a value and start nothing.
  private static let plain: [UInt64] = [
    0x0028, 0x002C, 0x0030, 0x0038, 0x00C4, 0x0170, 0x0178, 0x0410, 0x0458, 0x0E00, 0x2160, 0x2168, 0x2800, 0x2804,
    0x2808, 0x2820, 0x2828, 0x282C, 0x3800, 0x3804, 0x3808, 0x3820, 0x382C, 0x5000, 0x5808, 0x5820, 0x5838,
  ]

  /// Registers that QEMU does not have.
  private static let missing: Set<UInt64> = [
    0x0028, 0x002C, 0x0030, 0x0170, 0x0178, 0x0410, 0x2160, 0x2168, 0x2828, 0x3820, 0x5000,
  ]
  /// Registers whose reserved bits QEMU stores.
  private static let wide: Set<UInt64> = [0x0038, 0x0E00, 0x2800, 0x3800, 0x5808, 0x5838]

  static let writeMasks = script("13.4, which bits can be written") { script in
    for value in [0xFFFF_FFFF, 0x0000_0000, 0x5555_5555] as [UInt32] {
      for register in plain {
        write(&script, register, value)
        switch register {
        case 0x5820: read(&script, register, .nicManagement)
        case _ where value != 0 && missing.contains(register): read(&script, register, .nicMissingRegisters)
        case _ where value != 0 && wide.contains(register): read(&script, register, .nicWriteMasks)
        default: read(&script, register)
        }
      }
    }
    // While both units are off, head and tail are only stored.
    for register in [0x2810, 0x2818, 0x3810, 0x3818] as [UInt64] {
      write(&script, register, 0xFFFF_FFFF)
      read(&script, register)
      write(&script, register, 0)
    }
    for register in [0x0100, 0x0400] as [UInt64] {
      write(&script, register, 0xFFFF_FFFD)
      read(&script, register, .nicWriteMasks)
      write(&script, register, 0)
      read(&script, register)
    }
  }

  static let tables = script("13.5, filter tables") { script in
    for register in [0x5200, 0x53FC, 0x5400, 0x5404, 0x5408, 0x540C, 0x5478, 0x547C, 0x5600, 0x57FC] as [UInt64] {
      let isHigh = [0x5404, 0x540C, 0x547C].contains(register)
      for value in [0xFFFF_FFFF, 0x1234_5678, 0] as [UInt32] {
        write(&script, register, value)
        read(&script, register, isHigh && value != 0 ? .nicWriteMasks : nil, bits: 0x7FFC_0000)
      }
    }
  }

  // MARK: EEPROM and PHY

  /// Words that a vendor chooses, and the checksum over them.
  private static func isVendors(_ word: UInt32) -> Bool {
    5...11 ~= word || 16...36 ~= word || 48...50 ~= word || word == 63
  }

  static let eepromByEERD = script("13.4.4, the EEPROM by EERD") { script in
    for word in 0..<64 as Range<UInt32> {
      write(&script, 0x14, 1 | word << 8)
      read(&script, 0x14, isVendors(word) ? .nicEEPROMWords : nil, bits: 0xFFFF_0000)
    }
  }

  /// Clocks the EEPROM by SK, CS and DI of EECD (microwire, 64 words).
  static let eepromByPins = script("5.3, the EEPROM by the pins in EECD") { script in
    write(&script, 0x10, 0x40)
    read(&script, 0x10)
    for word in [0, 1, 2, 13, 62] as [UInt32] {
      write(&script, 0x10, 0x42)
      // A start bit, the opcode for READ, six bits of address.
      let command = 0b110 << 6 | word
      for bit in (0..<9).reversed() as ReversedCollection<Range<UInt32>> {
        let control = 0x42 | (command >> bit & 1) << 2
        write(&script, 0x10, control)
        write(&script, 0x10, control | 1)
        write(&script, 0x10, control)
      }
      for _ in 0..<16 {
        write(&script, 0x10, 0x43)
        read(&script, 0x10)
        write(&script, 0x10, 0x42)
      }
      write(&script, 0x10, 0x40)
    }
    write(&script, 0x10, 0)
    read(&script, 0x10, .nicEEPROMGrant, bits: 0x98)
  }

  /// PHY registers for which QEMU sets MDIC's error bit.
  private static func isMissing(_ register: UInt32) -> Bool {
    [7, 8, 11, 12, 13, 14, 15, 18, 19].contains(register) || register >= 22
  }

  private static func readPHY(_ script: inout Script, _ register: UInt32) {
    write(&script, 0x20, 0x0820_0000 | register << 16)
    switch register {
    case 1: read(&script, 0x20, .nicPHYNegotiation, bits: 0x20)
    case 5, 6: read(&script, 0x20, .nicPHYNegotiation, bits: 0xFFFF)
    case _ where isMissing(register): read(&script, 0x20, .nicPHYRegisters, bits: 0x4000_FFFF)
    default: read(&script, 0x20)
    }
  }

  static let phy = script("13.4.6 and 8, PHY registers by MDIC") { script in
    for register in 0..<32 as Range<UInt32> { readPHY(&script, register) }
    // Another PHY address, and an interrupt at the end.
    write(&script, 0x20, 0x0840_0000)
    read(&script, 0x20, .nicMDICAddress)
    read(&script, 0xC0)
    write(&script, 0x20, 0x2822_0000)
    read(&script, 0x20)
    read(&script, 0xC0)
  }

  static let phyWrites = script("8, which PHY registers can be written") { script in
    for register in [4, 9, 16, 18, 20, 29, 30] as [UInt32] {
      for value in [0xFFFF, 0x0000] as [UInt32] {
        write(&script, 0x20, 0x0420_0000 | register << 16 | value)
        read(&script, 0x20, isMissing(register) ? .nicPHYRegisters : nil, bits: 0x4000_0000)
        readPHY(&script, register)
      }
    }
  }

  // MARK: Interrupts and link

  static let interruptCauses = script("13.4.17 to 13.4.19, ICR, ICS and IMS") { script in
    write(&script, 0xC8, 0xFFFF_FFFF)
    read(&script, 0xC8, .nicInterruptReserved)
    script.settle()
    script.level(11)
    read(&script, 0xC0, .nicInterruptReserved, bits: 0xFFFE_0000)
    read(&script, 0xC0)
    write(&script, 0xC8, 0x84)
    write(&script, 0xD0, 0x80)
    script.settle()
    script.level(11)
    read(&script, 0xD0)
    write(&script, 0xC0, 0x80)
    script.settle()
    script.level(11)
    read(&script, 0xC0)
    script.level(11)
    // A masked cause waits.
    write(&script, 0xC8, 0x04)
    script.settle()
    script.level(11)
    write(&script, 0xD0, 0x04)
    script.settle()
    script.level(11)
    read(&script, 0xC0)
    script.settle()
    script.level(11)
  }

  static let interruptMask = script("13.4.20 and 13.4.21, IMS and IMC") { script in
    write(&script, 0xD0, 0xFFFF_FFFF)
    read(&script, 0xD0, .nicInterruptReserved, bits: 0xFFFE_0000)
    write(&script, 0xD8, 0x55)
    read(&script, 0xD8)
    read(&script, 0xD0, .nicInterruptReserved, bits: 0xFFFE_0000)
    write(&script, 0xD8, 0xFFFF_FFFF)
    read(&script, 0xD0)
    write(&script, 0xC8, 0x10)
    script.settle()
    script.level(11)
    write(&script, 0xD0, 0x10)
    script.settle()
    script.level(11)
    write(&script, 0xD8, 0x10)
    script.settle()
    script.level(11)
    read(&script, 0xC0)
  }

  static let linkByControl = script("13.4.1, CTRL") { script in
    for value in [0x0000_0241, 0x0000_0A41, 0x0000_1A40, 0x4000_0241, 0x0000_0241] as [UInt32] {
      write(&script, 0x00, value)
      read(&script, 0x00)
      read(&script, 0x08, .nicStatus, bits: value & 1 == 0 ? 0x8008_0501 : 0x8008_0500)
    }
  }

  static let statistics = script("13.4.33 and 13.6, statistics cannot be written") { script in
    for register in stride(from: 0x4000, through: 0x4124, by: 4) as StrideThrough<UInt64> {
      write(&script, register, 0xFFFF_FFFF)
      read(&script, register, register == 0x4058 ? .nicStatisticWrites : nil)
    }
  }

  // MARK: Shorthands

  static func read(
    _ script: inout Script, _ register: UInt64, mask: UInt64 = ~0, _ known: KnownDifference? = nil, bits: UInt64 = ~0
  ) {
    script.inMemory(0xE000_0000 + register, mask: mask, known, bits: bits)
  }

  static func write(_ script: inout Script, _ register: UInt64, _ value: UInt32) {
    script.outMemory(0xE000_0000 + register, value)
  }
}
