/// Scripts for the bus master, with section numbers of *Programming Interface for Bus Master IDE Controller* 1.0, 1994.
enum IDEDMAScripts {
  static let all: [Script] =
    [registers, direction, stop, wrongBusMaster] + tables.flatMap { table in [read(table), write(table)] }

  /// A PRD table that is equal to, longer or shorter than a command of two sectors.
  struct Table {
    var name: String
    var regions: [(address: UInt32, count: UInt16)]
  }

  private static let tables: [Table] = [
    Table(name: "equal, one region", regions: [(0x4_0000, 1024)]),
    Table(name: "equal, three regions", regions: [(0x4_0000, 512), (0x5_0100, 2), (0x6_0000, 510)]),
    Table(name: "equal, odd regions", regions: [(0x4_0002, 254), (0x5_FFF0, 16), (0x6_0000, 754)]),
    Table(name: "longer, one region", regions: [(0x4_0000, 2048)]),
    Table(name: "longer, a region of 64 KiB", regions: [(0x4_0000, 0)]),
    Table(name: "longer, a region more", regions: [(0x4_0000, 1024), (0x5_0000, 512)]),
    Table(name: "shorter, one region", regions: [(0x4_0000, 512)]),
    Table(name: "shorter, within a sector", regions: [(0x4_0000, 512), (0x5_0000, 256)]),
  ]

  private static func script(_ name: String, _ body: (inout Script) -> Void) -> Script {
    var script = Script("IDE DMA: \(name)")
    body(&script)
    return script
  }

  static func layTable(
    _ script: inout Script, _ regions: [(address: UInt32, count: UInt16)], at address: UInt32 = 0x1000
  ) {
    var bytes: [UInt8] = []
    for (index, region) in regions.enumerated() {
      let end: UInt64 = index == regions.count - 1 ? 0x8000_0000 : 0
      bytes += littleEndian(UInt64(region.address), 4) + littleEndian(UInt64(region.count) | end, 4)
    }
    script.store(UInt64(address), bytes)
    script.outl(0xC404, address)
  }

  private static func look(_ script: inout Script) {
    script.inb(0xC402)
    script.inb(0xC400)
    IDEScripts.state(&script)
    script.inb(0xC402)
  }

  static func read(_ table: Table) -> Script {
    script("status bit interpretation, READ DMA, table \(table.name)") { script in
      layTable(&script, table.regions)
      script.outb(0xC400, 0x08)
      script.outb(0xC402, 0x06)
      ATA.command(&script, 0xC8, lba: 3, count: 2)
      script.outb(0xC400, 0x09)
      script.settle()
      look(&script)
      script.load(0x4_0000, count: 2048)
      script.load(0x5_0000, count: 512)
      script.load(0x5_FFF0, count: 1040)
      script.outb(0xC400, 0x00)
      script.settle()
      look(&script)
      script.outb(0xC402, 0x04)
      script.inb(0xC402)
    }
  }

  static func write(_ table: Table) -> Script {
    script("status bit interpretation, WRITE DMA, table \(table.name)") { script in
      for (index, region) in table.regions.enumerated() {
        script.store(UInt64(region.address), ATA.sector(index) + ATA.sector(index + 5))
      }
      layTable(&script, table.regions)
      script.outb(0xC400, 0x00)
      script.outb(0xC402, 0x06)
      ATA.command(&script, 0xCA, lba: 30, count: 2)
      script.outb(0xC400, 0x01)
      script.settle()
      look(&script)
      script.outb(0xC400, 0x00)
      script.settle()
      look(&script)
      ATA.command(&script, 0xE7)
      script.settle()
      script.inb(0x1F7)
      script.disk(0, 0, sector: 29, count: 2048)
    }
  }

  static let registers = script("2.0, registers") { script in
    for base in [0xC400, 0xC408] as [UInt64] {
      for register in 0...7 as ClosedRange<UInt64> {
        script.inb(base + register, [1, 3].contains(register) ? .ideReservedPorts : nil)
      }
      for value in [0xFF, 0x00, 0x60, 0x20, 0x40] as [UInt8] {
        script.outb(base + 2, value)
        script.inb(base + 2)
      }
      for value in [0xFFFF_FFFF, 0x1234_5678, 0] as [UInt32] {
        script.outl(base + 4, value)
        script.inl(base + 4)
        script.inw(base + 4)
        script.inb(base + 7)
      }
      script.outb(base + 1, 0xFF)
      script.inb(base + 1, .ideReservedPorts)
      script.outb(base + 3, 0xFF)
      script.inb(base + 3, .ideReservedPorts)
      for value in [0xFE, 0x08, 0xF8] as [UInt8] {
        script.outb(base, value)
        script.inb(base)
      }
      script.outb(base, 0x00)
      script.inw(base, .ideWideAccess)
      script.inl(base, .ideWideAccess)
    }
  }

  static let direction = script("2.1, a transfer against the direction bit") { script in
    layTable(&script, [(0x4_0000, 512)])
    script.outb(0xC400, 0x00)
    ATA.command(&script, 0xC8, lba: 3)
    script.outb(0xC400, 0x01)
    script.settle()
    script.inb(0xC402, .ideDirection)
    script.inb(0x3F6)
    script.level(14, .ideDirection)
    script.load(0x4_0000, count: 512, .ideDirection)
  }

  static let stop = script("3.1, the engine starts before and after the command") { script in
    layTable(&script, [(0x4_0000, 512)])
    script.outb(0xC400, 0x09)
    script.inb(0xC402)
    ATA.command(&script, 0xC8, lba: 4)
    script.settle()
    look(&script)
    script.outb(0xC400, 0x08)
    script.inb(0xC402)
    // A command whose engine is never started.
    script.outb(0xC402, 0x04)
    ATA.command(&script, 0xC8, lba: 5)
    script.settle()
    script.inb(0xC402)
    script.inb(0x3F6)
    ATA.reset(&script)
    script.inb(0xC402, .ideResetInterrupt, bits: 0x04)
    script.inb(0x3F6)
    script.load(0x4_0000, count: 512)
  }

  static let wrongBusMaster = script("PCI 3.0, 6.2.2: without bus mastering nothing moves") { script in
    layTable(&script, [(0x4_0000, 512)])
    script.outl(0xCF8, 0x8000_0904)
    script.outw(0xCFC, 0x0001)
    script.outb(0xC400, 0x08)
    ATA.command(&script, 0xC8, lba: 3)
    script.outb(0xC400, 0x09)
    script.settle()
    script.inb(0xC402, .ideBusMaster, bits: 0x04)
    script.load(0x4_0000, count: 512)
  }
}
