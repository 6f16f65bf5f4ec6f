import Backends
import TestSupport
import Testing

@Suite("Bus master DMA (Programming Interface for Bus Master IDE Controller 1.0)")
struct IDEDMATests {
  @Test("READ DMA scatters sectors over regions of any even size")
  func read() throws {
    let (ide, disk) = try IDEBench.withDisk()
    disk.store(pattern(4096), sector: 100)
    ide.table([(0x10000, 2), (0x20002, 1022), (0x30000, 3072)])
    #expect(ide.dma(0xC8, lba: 100, count: 8) == 0x04)
    #expect(ide.status == 0x50)
    let expected = pattern(4096)
    #expect(ide.bench.bytes(at: 0x10000, count: 2) == Array(expected[0..<2]))
    #expect(ide.bench.bytes(at: 0x20002, count: 1022) == Array(expected[2..<1024]))
    #expect(ide.bench.bytes(at: 0x30000, count: 3072) == Array(expected[1024...]))
    #expect(ide.bench.counters[.diskReads] == 1)
    #expect(ide.bench.counters[.diskBytes] == 4096)
    #expect(ide.bench.counters[.interrupts] == 1)
    #expect(ide.bench.counters[.doorbells] == 1)
    #expect(ide.bench.counters[.bytesCopied] == 0)
  }

  @Test("WRITE DMA gathers sectors from such regions", arguments: [0xCA, 0xCB] as [UInt8])
  func write(code: UInt8) throws {
    let (ide, disk) = try IDEBench.withDisk()
    ide.bench.store(pattern(1024), at: 0x10000)
    ide.bench.store(pattern(512, seed: 9), at: 0x50000)
    ide.table([(0x10000, 1024), (0x50000, 512)])
    #expect(ide.dma(code, lba: 7, count: 3) == 0x04)
    #expect(ide.status == 0x50)
    #expect(disk.sectors(7, 3) == pattern(1024) + pattern(512, seed: 9))
    #expect(disk.sectors(10, 1).allSatisfy { $0 == 0 })
    #expect(ide.bench.counters[.diskWrites] == 1)
  }

  /// BMIS after the transfer, by the sizes of table and command (status bit interpretation).
  ///
  /// A short table shows neither interrupt nor active, an equal one interrupt, a long one both.
  @Test(
    "BMIS compares the sizes of table and command", arguments: [1, 2, 8, 64, 127, 128, 129, 0] as [UInt8])
  func matrix(count: UInt8) throws {
    let (ide, _) = try IDEBench.withDisk()
    let wanted = (count == 0 ? 256 : Int(count)) * 512
    for field in [0, 2, 510, 512, 514, 1024, 4096, 32768, 65024, 65534] {
      let size = field == 0 ? 65536 : field
      ide.table([(0x10000, UInt16(field))])
      let expected: UInt8 = size < wanted ? 0x00 : size == wanted ? 0x04 : 0x05
      #expect(ide.dma(0xC8, count: count) == expected, "PRD of \(size) bytes, \(wanted) wanted")
      #expect(ide.busMasterStatus & 0x01 == 0, "stopping clears active")
      #expect(ide.status == 0x50, "neither BSY, DRQ, DF nor ERR")
    }
  }

  @Test("INTRQ of a command without data sets BMIS interrupt too, and it stays until a one is written (2.0)")
  func flushInterrupt() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.command(0xE7)
    ide.bench.settle()
    #expect(ide.status == 0x50)
    #expect(ide.busMasterStatus == 0x04, "reading Status lowers INTRQ, not the bit")
    ide.bench.outb(0xC402, 0x04)
    #expect(ide.busMasterStatus == 0x00)
  }

  @Test("bit 0 of address and count is not decoded")
  func evenAddresses() throws {
    let (ide, disk) = try IDEBench.withDisk()
    disk.store(pattern(512), sector: 0)
    ide.table([(0x10001, 513)])
    #expect(ide.dma(0xC8) == 0x04)
    #expect(ide.bench.bytes(at: 0x10000, count: 512) == pattern(512))
  }

  @Test("a table continues across a 64 KiB boundary")
  func crossingTable() throws {
    let (ide, disk) = try IDEBench.withDisk()
    disk.store(pattern(1024), sector: 0)
    ide.table([(0x40000, 512), (0x50000, 512)], at: 0x1FFF8)
    #expect(ide.dma(0xC8, count: 2) == 0x04)
    #expect(ide.bench.bytes(at: 0x50000, count: 512) == Array(pattern(1024)[512...]))
  }

  @Test("READ and WRITE DMA EXT reach beyond 28 bits and count to 65536")
  func ext() throws {
    let (ide, disk) = try IDEBench.withDisk(sectors: 1 << 29)
    let sector = 0x1234_5678
    disk.store(pattern(512), sector: sector)
    ide.table([(0x10000, 512)])
    ide.outb(0xC400, 0x08)
    ide.commandExt(0x25, lba: UInt64(sector), count: 1)
    ide.outb(0xC400, 0x09)
    ide.settle()
    #expect(ide.busMasterStatus == 0x04)
    #expect(ide.bench.bytes(at: 0x10000, count: 512) == pattern(512))
    ide.outb(0xC400, 0)
    ide.outb(0xC402, 0x06)

    // 65536 sectors are 32 MiB: 512 regions of 64 KiB, all at the same address.
    ide.bench.store(pattern(65536, seed: 3), at: 0x20000)
    ide.table(Array(repeating: (0x20000, 0), count: 512))
    ide.commandExt(0x35, lba: 0x1000_0000, count: 0)
    ide.outb(0xC400, 0x01)
    ide.settle()
    #expect(ide.busMasterStatus == 0x04)
    #expect(ide.status == 0x50)
    #expect(disk.sectors(0x1000_0000 + 65535, 1) == Array(pattern(65536, seed: 3)[65024...]))
    #expect(disk.sectors(0x1000_0000 + 65536, 1).allSatisfy { $0 == 0 })
  }

  @Test("the engine may be started before the command")
  func engineFirst() throws {
    let (ide, disk) = try IDEBench.withDisk()
    disk.store(pattern(512), sector: 5)
    ide.table([(0x10000, 512)])
    ide.outb(0xC400, 0x09)
    #expect(ide.busMasterStatus == 0x01)
    ide.command(0xC8, lba: 5)
    ide.settle()
    #expect(ide.busMasterStatus == 0x04)
    #expect(ide.bench.bytes(at: 0x10000, count: 512) == pattern(512))
  }

  @Test("a command without a started engine waits with DRQ")
  func waits() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.command(0xC8)
    ide.settle()
    #expect(disk.submitted == 0)
    #expect(ide.status == 0x58)
    #expect(ide.primaryLine.changes == [])
  }

  @Test("writing ones clears BMIS bits 1 and 2, the driver owns bits 5 and 6, BMIDTP is dword aligned")
  func registers() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.table([(0x10000, 512)])
    #expect(ide.dma(0xC8) == 0x04)
    ide.outb(0xC402, 0x60)
    #expect(ide.busMasterStatus == 0x64)
    ide.outb(0xC402, 0x24)
    #expect(ide.busMasterStatus == 0x20)
    ide.bench.outl(0xC404, 0x1234_5677)
    #expect(ide.bench.inl(0xC404) == 0x1234_5674)
    ide.bench.outl(0xC40C, 0xFFFF_FFFF)
    #expect(ide.bench.inl(0xC40C) == 0xFFFF_FFFC)
    ide.outb(0xC400, 0xFE)
    #expect(ide.inb(0xC400) == 0x08)
    #expect(ide.inb(0xC401) == 0)
  }

  @Test("a stop abandons the transfer; its completion is not visible, and the next command runs after it")
  func stop() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.table([(0x10000, 512)])
    ide.command(0xC8)
    ide.outb(0xC400, 0x09)
    ide.settle()
    #expect(disk.submitted == 1)
    #expect(ide.alternateStatus & 0x80 == 0x80)
    #expect(ide.busMasterStatus == 0x01)
    ide.outb(0xC400, 0x08)
    disk.release(.failed(5))
    #expect(ide.primaryLine.changes == [])
    #expect(ide.busMasterStatus == 0x00)
    #expect(ide.status == 0x50)
    ide.command(0xC8, lba: 1)
    ide.outb(0xC400, 0x09)
    ide.settle()
    #expect(disk.submitted == 2)
    disk.release(fill: 7)
    #expect(ide.busMasterStatus == 0x04)
    #expect(ide.status == 0x50)
    #expect(ide.bench.bytes(at: 0x10000, count: 512).allSatisfy { $0 == 7 })
    #expect(ide.primaryLine.changes == [true, false])
  }

  @Test("without PCI command bit 2 nothing moves until it is set")
  func busMasterDisabled() throws {
    let (ide, disk) = try IDEBench.withDisk()
    disk.store(pattern(512), sector: 0)
    ide.controller.writeConfiguration(0x04, 0x0001, width: 2)
    ide.table([(0x10000, 512)])
    ide.command(0xC8)
    ide.outb(0xC400, 0x09)
    ide.settle()
    #expect(ide.busMasterStatus == 0x01)
    #expect(ide.bench.bytes(at: 0x10000, count: 512).allSatisfy { $0 == 0 })
    ide.controller.writeConfiguration(0x04, 0x0005, width: 2)
    ide.settle()
    #expect(ide.busMasterStatus == 0x04)
    #expect(ide.bench.bytes(at: 0x10000, count: 512) == pattern(512))
  }

  @Test("each channel has its own engine and line")
  func secondary() throws {
    let ide = try IDEBench()
    let disk = HeldStorage(sectorCount: 64)
    ide.controller.attachDrive(disk, channel: 1, drive: 1, model: "s", serial: "s")
    ide.plug()
    ide.bench.memory.store(UInt32(0x10000), at: 0x1000)
    ide.bench.memory.store(UInt32(0x8000_0200), at: 0x1004)
    ide.bench.outl(0xC40C, 0x1000)
    ide.outb(0x176, 0xF0)
    ide.outb(0x172, 1)
    ide.outb(0x177, 0xC8)
    ide.outb(0xC408, 0x09)
    ide.settle()
    disk.release(fill: 0x5A)
    #expect(ide.inb(0xC40A) == 0x04)
    #expect(ide.busMasterStatus == 0)
    #expect(ide.secondaryLine.changes == [true])
    #expect(ide.primaryLine.changes == [])
    #expect(ide.inb(0x177) == 0x50)
    #expect(ide.secondaryLine.changes == [true, false])
    #expect(ide.bench.bytes(at: 0x10000, count: 512).allSatisfy { $0 == 0x5A })
  }
}

@Suite("Hostile PRD tables")
struct IDEHostileTableTests {
  @Test(
    "a table or region outside RAM stops the engine with an error and moves nothing",
    arguments: [
      (0x1000, 0x0100_0000), (0x1000, 0x00FF_FF00), (0x1000, 0xFFFF_FFFE), (0x1000, 0xBFFF_FFFE),
      (0x00FF_FFFC, 0x10000), (0x0100_0000, 0x10000), (0xFFFF_FFFC, 0x10000),
    ] as [(UInt32, UInt32)])
  func outside(table: UInt32, region: UInt32) throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.table([(region, 512)])
    ide.bench.outl(0xC404, table)
    #expect(ide.dma(0xC8) == 0x02)
    #expect(ide.status == 0x50)
    #expect(ide.primaryLine.changes == [])
    #expect(ide.bench.counters[.badAddress] == 1)
    #expect(ide.bench.counters[.diskReads] == 0)
    // The engine recovers: writing a one clears the error, and the next table works.
    ide.table([(0x10000, 512)])
    #expect(ide.dma(0xC8) == 0x04)
  }

  @Test("the engine leaves a table without end after the command's bytes, or after 8192 descriptors")
  func endless() throws {
    let (ide, _) = try IDEBench.withDisk(sectors: 70000)
    #expect(ide.dmaWithoutEnd() == 0x02)
    #expect(ide.dma(0xC8, count: 32) == 0x05)
  }

  @Test("an engine set up for the other direction moves nothing")
  func direction() throws {
    let (ide, disk) = try IDEBench.withDisk()
    ide.bench.store(pattern(512), at: 0x10000)
    ide.table([(0x10000, 512)])
    ide.command(0xCA)
    ide.outb(0xC400, 0x09)
    ide.settle()
    #expect(ide.busMasterStatus == 0x02)
    #expect(disk.sectors(0, 1).allSatisfy { $0 == 0 })
    #expect(ide.bench.counters[.badRequest] == 1)
  }
}
