/// Scripts for the PIIX3's IDE channels, without DMA (clause numbers are those of ATA/ATAPI-6).
enum IDEScripts {
  static let all: [Script] =
    [powerOn, identify, softwareReset, absentDrive, deviceControl, twoDrives, diagnostic]
    + [readSectors, writeSectors, multiple, multipleModes, lba28Limits, lba48Limits, chs, features, powerModes]

  static func script(_ name: String, _ body: (inout Script) -> Void) -> Script {
    var script = Script("IDE: \(name)")
    body(&script)
    return script
  }

  /// Reads the state after a command: status, error, the selected drive and INTRQ. The alternate status comes first,
  /// since reading the status lowers INTRQ.
  static func state(
    _ script: inout Script, channel: UInt64 = 0, _ known: KnownDifference? = nil, status: UInt64 = 0, error: UInt64 = 0,
    level: Bool = false
  ) {
    let base: UInt64 = channel == 0 ? 0x1F0 : 0x170
    let inStatus = status == 0 ? nil : known
    script.inb(base + 0x206, inStatus, bits: status)
    script.level(14 + Int(channel), level ? known : nil)
    script.inb(base + 1, error == 0 ? nil : known, bits: error)
    script.inb(base + 6, mask: 0xF0)
    script.inb(base + 7, inStatus, bits: status)
    script.level(14 + Int(channel))
  }

  /// Reads the count and the address, which are only meaningful after a reset or an error.
  static func address(_ script: inout Script, channel: UInt64 = 0) {
    for register in 2...5 as ClosedRange<UInt64> { script.inb((channel == 0 ? 0x1F0 : 0x170) + register) }
  }

  /// Reads all registers.
  static func registers(_ script: inout Script, channel: UInt64 = 0) {
    state(&script, channel: channel)
    address(&script, channel: channel)
  }

  static let powerOn = script("9.1, diagnostic code and signature after power-on") { script in
    for (channel, device) in [(0, 0xA0), (1, 0xA0), (1, 0xB0)] as [(UInt64, UInt8)] {
      script.outb(channel == 0 ? 0x1F6 : 0x176, device)
      state(&script, channel: channel, .idePowerOnCode, error: 0x01)
      address(&script, channel: channel)
    }
  }

  /// Words of IDENTIFY DEVICE for features that only one of the disks has.
  private static let differingWords: Set<Int> = [
    2, 4, 5, 20, 21, 22, 23, 24, 48, 50, 51, 52, 59, 62, 69, 80, 81, 82, 85, 88, 93, 106, 169, 255,
  ]

  static let identify = script("8.15, IDENTIFY DEVICE") { script in
    for (port, device) in [(0x1F0, 0xA0), (0x170, 0xA0), (0x170, 0xB0)] as [(UInt64, UInt8)] {
      script.outb(port + 6, device)
      script.outb(port + 7, 0xEC)
      script.settle()
      state(&script, channel: port == 0x1F0 ? 0 : 1)
      for word in 0..<256 {
        script.inw(port, differingWords.contains(word) ? .ideIdentify : nil)
      }
      script.settle()
      state(&script, channel: port == 0x1F0 ? 0 : 1)
    }
  }

  /// Sets SRST for a while, and reads the registers.
  private static func reset(_ script: inout Script, channel: UInt64 = 0, control: UInt8 = 0x04) {
    let port: UInt64 = channel == 0 ? 0x3F6 : 0x376
    script.outb(port, control)
    script.inb(port, mask: 0x80)
    script.outb(port, control & ~0x04)
    script.settle()
    script.inb(port)
    script.level(14 + Int(channel), .ideResetInterrupt)
    script.inb(port - 0x206 + 7)
    registers(&script, channel: channel)
  }

  static let softwareReset = script("9.2, SRST") { script in
    script.outb(0x1F2, 0x12)
    script.outb(0x1F3, 0x34)
    script.outb(0x1F6, 0xEF)
    reset(&script, control: 0x0C)
    // During a transfer.
    ATA.command(&script, 0x20, lba: 3, count: 2)
    script.settle()
    script.steps.append(.readWords(0x1F0, count: 100))
    reset(&script)
    script.inw(0x1F0, .ideDataWithoutRequest)
    // Both drives of a cable.
    ATA.command(&script, 0x20, lba: 3, count: 2, base: 0x170, device: 0xF0)
    script.settle()
    reset(&script, channel: 1)
    script.outb(0x176, 0xB0)
    registers(&script, channel: 1)
  }

  static let absentDrive = script("9.16.1, a missing drive 1") { script in
    ATA.command(&script, 0xE7, lba: 0x0003_0201, count: 4)
    script.settle()
    script.inb(0x1F7)
    script.outb(0x1F6, 0xB0)
    registers(&script)
    script.outb(0x1F2, 0x55)
    script.outb(0x1F3, 0xAA)
    registers(&script)
    for code in [0xEC, 0x20, 0x91, 0xE7] as [UInt8] {
      script.outb(0x1F7, code)
      script.settle()
      registers(&script)
    }
    script.outb(0x1F6, 0xA0)
    registers(&script)
  }

  static let deviceControl = script("7.8, nIEN and HOB") { script in
    script.outb(0x3F6, 0x02)
    ATA.command(&script, 0xE7)
    script.settle()
    script.level(14)
    // A pending interrupt appears once nIEN is cleared.
    script.outb(0x3F6, 0x00)
    script.level(14, .ideInterruptDisable)
    script.inb(0x1F7)
    script.level(14)
    for register in 2...5 as ClosedRange<UInt64> {
      script.outb(0x1F0 + register, 0x10 + UInt8(register))
      script.outb(0x1F0 + register, 0x20 + UInt8(register))
    }
    script.outb(0x3F6, 0x80)
    for register in 1...7 as ClosedRange<UInt64> { script.inb(0x1F0 + register) }
    script.outb(0x1F1, 0x00)
    for register in 1...7 as ClosedRange<UInt64> { script.inb(0x1F0 + register) }
  }

  static let twoDrives = script("7.7, each drive has its own registers") { script in
    script.outb(0x176, 0xA0)
    ATA.command(&script, 0xE5, base: 0x170, device: 0xA0)
    script.settle()
    registers(&script, channel: 1)
    script.outb(0x176, 0xB0)
    address(&script, channel: 1)
    ATA.command(&script, 0x00, base: 0x170, device: 0xB0)
    script.settle()
    state(&script, channel: 1, .ideSeekComplete, status: 0x10)
    address(&script, channel: 1)
    script.outb(0x176, 0xA0)
    registers(&script, channel: 1)
    script.outb(0x176, 0xB0)
    state(&script, channel: 1, .ideSeekComplete, status: 0x10)
    address(&script, channel: 1)
  }

  static let diagnostic = script("8.11, EXECUTE DEVICE DIAGNOSTIC") { script in
    ATA.command(&script, 0x90)
    script.settle()
    registers(&script)
    ATA.command(&script, 0x90, base: 0x170, device: 0xB0)
    script.settle()
    registers(&script, channel: 1)
    script.outb(0x176, 0xB0)
    registers(&script, channel: 1)
  }

  // MARK: PIO

  static let readSectors = script("9.5, PIO data-in") { script in
    ATA.command(&script, 0x20, lba: 5, count: 3)
    for _ in 0..<3 {
      script.settle()
      script.inb(0x3F6)
      script.level(14)
      script.inb(0x1F7)
      script.level(14)
      script.steps.append(.readWords(0x1F0, count: 256))
    }
    script.settle()
    state(&script)
    // Twice as many words as the sector has.
    ATA.command(&script, 0x20, lba: 7, count: 1)
    script.settle()
    script.steps.append(.readWords(0x1F0, count: 256))
    script.settle()
    script.inw(0x1F0, .ideDataWithoutRequest)
    state(&script)
  }

  static let writeSectors = script("9.6, PIO data-out") { script in
    ATA.command(&script, 0x30, lba: 9, count: 2)
    script.settle()
    state(&script)
    for seed in 0..<2 {
      script.steps.append(.writeWords(0x1F0, ATA.sector(seed)))
      script.settle()
      state(&script)
    }
    ATA.command(&script, 0xE7)
    script.settle()
    state(&script)
    script.disk(0, 0, sector: 8, count: 2048)
  }

  static let multiple = script("8.30, READ and WRITE MULTIPLE") { script in
    ATA.command(&script, 0xC4, lba: 0, count: 4)
    script.settle()
    state(&script, .ideMultipleDefault, status: 0x09, error: 0x04)
    ATA.reset(&script)
    ATA.command(&script, 0xC6, count: 4)
    script.settle()
    state(&script)
    ATA.command(&script, 0xC4, lba: 2, count: 6)
    for count in [1024, 512] {
      script.settle()
      script.inb(0x3F6)
      script.level(14)
      script.inb(0x1F7)
      script.steps.append(.readWords(0x1F0, count: count))
    }
    script.settle()
    state(&script)
    ATA.command(&script, 0xC5, lba: 20, count: 5)
    for count in [4, 1] {
      script.settle()
      script.inb(0x3F6)
      script.level(14)
      script.inb(0x1F7)
      for seed in 0..<count { script.steps.append(.writeWords(0x1F0, ATA.sector(seed + 10))) }
    }
    script.settle()
    state(&script)
    ATA.command(&script, 0xEA)
    script.settle()
    script.disk(0, 0, sector: 19, count: 7 * 512)
  }

  static let multipleModes = script("8.39, SET MULTIPLE MODE") { script in
    for count in [0, 1, 2, 3, 4, 8, 16, 17, 32, 128, 255] as [UInt8] {
      ATA.command(&script, 0xC6, count: count)
      script.settle()
      if [3, 17, 32, 128, 255].contains(count) {
        state(&script, .ideSeekComplete, status: 0x10)
      } else {
        state(&script)
      }
    }
  }

  // MARK: Addresses

  /// Where a range of sectors is, relative to the end of the disk.
  private enum Range { case inside, crossing, outside }

  private static func range(_ script: inout Script, channel: UInt64 = 0, _ range: Range, reads: Bool) {
    switch (range, reads) {
    case (.inside, _): state(&script, channel: channel)
    // The sectors before the end are read.
    case (.crossing, true): state(&script, channel: channel)
    case (.outside, true): state(&script, channel: channel, .ideOutOfRange, status: 0x10, error: 0x14)
    case (_, false): state(&script, channel: channel, .ideVerify, status: 0x01, error: 0x10)
    }
  }

  static let lba28Limits = script("6.2, the last sectors of a disk, 28-bit") { script in
    for code in [0x20, 0x40, 0x70] as [UInt8] {
      for (lba, count, place) in [
        (16_383, 1, .inside), (16_383, 2, .crossing), (16_384, 1, .outside), (0x0FFF_FFFF, 1, .outside),
        (16_129, 0, .crossing),
      ] as [(UInt32, UInt8, Range)] {
        ATA.command(&script, code, lba: lba, count: count)
        script.settle()
        // SEEK ignores the count.
        range(&script, code == 0x70 && place == .crossing ? .inside : place, reads: code == 0x20)
        ATA.reset(&script)
      }
    }
  }

  static let lba48Limits = script("6.20, the last sectors of a disk, 48-bit") { script in
    for code in [0x24, 0x42] as [UInt8] {
      for (lba, count, place) in [
        (0x1000_0FFF, 1, .inside), (0x1000_0FFF, 2, .crossing), (0x1000_1000, 1, .outside),
        (0x0FFF_FFFF, 2, .inside), (0xFFFF_FFFF_FFFF, 1, .outside), (0, 0, .inside),
      ] as [(UInt64, UInt16, Range)] {
        ATA.commandExt(&script, code, lba: lba, count: count, base: 0x170)
        script.settle()
        range(&script, channel: 1, place, reads: code == 0x24)
        if place == .outside {
          for hob in [0x00, 0x80] as [UInt8] {
            script.outb(0x376, hob)
            address(&script, channel: 1)
          }
        }
        script.outb(0x376, 0x04)
        script.outb(0x376, 0x00)
        script.settle()
      }
    }
  }

  static let chs = script("6.2, cylinders, heads and sectors (ATA/ATAPI-5)") { script in
    for (cylinder, head, sector) in [
      (0, 0, 1), (0, 0, 0), (0, 15, 63), (0, 15, 64), (15, 15, 63), (16, 4, 1), (17, 0, 1),
    ]
      as [(UInt32, UInt8, UInt8)]
    {
      ATA.command(&script, 0x20, lba: cylinder << 8 | UInt32(sector), device: 0xA0 | head)
      script.settle()
      switch (cylinder, sector) {
      case (0, 0), (17, 1): state(&script, .ideOutOfRange, status: 0x10, error: 0x14)
      case (0, 64), (16, 1): state(&script, .ideCHSCheck, status: 0x09, error: 0x10)
      default: state(&script)
      }
      ATA.reset(&script)
    }
    // INITIALIZE DEVICE PARAMETERS: 8 heads of 32 sectors.
    ATA.command(&script, 0x91, count: 32, device: 0xA7)
    script.settle()
    state(&script)
    ATA.command(&script, 0x20, lba: 0x0101, device: 0xA1)
    script.settle()
    state(&script)
    script.steps.append(.readWords(0x1F0, count: 256))
  }

  // MARK: Settings

  static let features = script("8.46, SET FEATURES") { script in
    for feature in [0x02, 0x82, 0x55, 0xAA, 0x66, 0xCC, 0x05, 0x85, 0x00, 0xFF] as [UInt8] {
      ATA.command(&script, 0xEF, count: 0x40, features: feature)
      script.settle()
      switch feature {
      case 0x05, 0x85: state(&script, .idePowerManagement, status: 0x01, error: 0x04)
      case 0x00, 0xFF: state(&script, .ideSeekComplete, status: 0x10)
      default: state(&script)
      }
    }
    for mode in [0x00, 0x01, 0x08, 0x0C, 0x0D, 0x20, 0x22, 0x23, 0x40, 0x42, 0x45, 0x46, 0x80] as [UInt8] {
      ATA.command(&script, 0xEF, count: mode, features: 0x03)
      script.settle()
      switch mode {
      case 0x0D, 0x23, 0x45, 0x46: state(&script, .ideTransferModes, status: 0x01, error: 0x04)
      case 0x80: state(&script, .ideSeekComplete, status: 0x10)
      default: state(&script)
      }
    }
  }

  static let powerModes = script("8.7, CHECK POWER MODE") { script in
    for code in [0xE0, 0xE1, 0xE2, 0xE3] as [UInt8] {
      ATA.command(&script, code)
      script.settle()
      state(&script, .ideSeekComplete, status: 0x10)
      ATA.command(&script, 0xE5, count: 0x33)
      script.settle()
      state(&script)
      script.inb(0x1F2, .idePowerMode)
    }
  }
}
