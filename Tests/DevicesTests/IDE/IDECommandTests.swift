import Backends
import Counters
import TestSupport
import Testing

@Suite("ATA commands (ATA/ATAPI-6, clause 8)")
struct IDECommandTests {
  @Test(
    "commands that the disk does not have are aborted, with an interrupt",
    arguments: [0x00, 0x01, 0x08, 0x27, 0xA0, 0xA1, 0xB0, 0xFF] as [UInt8])
  func unknown(code: UInt8) throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.command(code)
    #expect(ide.primaryLine.changes == [true])
    #expect(ide.status == 0x51)
    #expect(ide.error == 0x04)
    ide.command(0xE5)
    #expect(ide.status == 0x50, "the next command clears ERR")
    #expect(ide.error == 0)
  }

  @Test("FLUSH CACHE holds BSY until the storage has flushed", arguments: [0xE7, 0xEA] as [UInt8])
  func flush(code: UInt8) throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.command(code)
    ide.settle()
    #expect(disk.waiting.first?.operation == .flush)
    #expect(ide.alternateStatus & 0x80 == 0x80)
    #expect(ide.primaryLine.changes == [])
    disk.release()
    #expect(ide.status == 0x50)
    #expect(ide.primaryLine.changes == [true, false])
    #expect(ide.bench.counters[.diskFlushes] == 1)
    ide.command(code)
    ide.settle()
    disk.release(.failed(5))
    #expect(ide.status == 0x71, "a device fault")
    #expect(ide.error == 0x04)
  }

  @Test("with the write cache off, writes are durable; turning it off flushes")
  func writeCache() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    func write() {
      ide.command(0x30)
      ide.put(pattern(512))
      ide.settle()
      disk.release()
    }
    write()
    ide.command(0xEF, features: 0x82)
    ide.settle()
    #expect(disk.waiting.first?.operation == .flush)
    disk.release()
    #expect(ide.status == 0x50)
    write()
    ide.command(0xEF, features: 0x02)
    write()
    #expect(disk.durable == [false, true, true, false])
  }

  @Test("READ VERIFY checks the range and moves nothing", arguments: [0x40, 0x41, 0x42] as [UInt8])
  func verify(code: UInt8) throws {
    let (ide, _) = try IDEBench.withDisk(sectors: 100)
    func run(_ lba: UInt8, _ count: UInt8) {
      if code == 0x42 {
        ide.commandExt(code, lba: UInt64(lba), count: UInt16(count))
      } else {
        ide.command(code, lba: UInt32(lba), count: count)
      }
    }
    run(99, 1)
    #expect(ide.status == 0x50)
    run(99, 2)
    #expect(ide.status == 0x51 && ide.error == 0x10)
  }

  @Test("CHECK POWER MODE follows STANDBY, IDLE and any access")
  func power() throws {
    let (ide, _) = try IDEBench.withDisk()
    func mode() -> UInt8 {
      ide.command(0xE5, count: 0x33)
      #expect(ide.status == 0x50)
      return ide.inb(0x1F2)
    }
    #expect(mode() == 0xFF)
    for (code, expected) in [(0xE0, 0x00), (0xE1, 0x80), (0xE2, 0x00), (0xE3, 0x80)] as [(UInt8, UInt8)] {
      ide.command(code)
      #expect(ide.status == 0x50)
      #expect(mode() == expected)
    }
    ide.command(0x20)
    ide.settle()
    _ = ide.words(256)
    #expect(mode() == 0xFF)
    ide.command(0xE6)
    #expect(ide.status == 0x50)
    let interrupts = ide.bench.counters[.interrupts]
    ide.command(0xEC)
    ide.settle()
    #expect(ide.bench.counters[.interrupts] == interrupts, "a sleeping drive does not answer")
    ide.outb(0x3F6, 0x04)
    ide.outb(0x3F6, 0x00)
    #expect(mode() == 0xFF)
  }

  @Test("SEEK and RECALIBRATE only complete")
  func seek() throws {
    let (ide, _) = try IDEBench.withDisk(sectors: 100)
    ide.command(0x10)
    #expect(ide.status == 0x50)
    ide.command(0x70, lba: 99)
    #expect(ide.status == 0x50)
    ide.command(0x70, lba: 100)
    #expect(ide.status == 0x51 && ide.error == 0x10)
  }

  @Test("INITIALIZE DEVICE PARAMETERS with no sectors is aborted")
  func noGeometry() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.command(0x91, count: 0)
    #expect(ide.status == 0x51 && ide.error == 0x04)
  }

  @Test("EXECUTE DEVICE DIAGNOSTIC leaves the signature and code 01h")
  func diagnostic() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.command(0x90, lba: 0xABCDEF, count: 9, device: 0xB0)
    #expect(ide.primaryLine.changes == [true])
    #expect(ide.error == 0x01)
    #expect((0x1F2...0x1F5).map { ide.inb($0) } == [1, 1, 0, 0])
    #expect(ide.inb(0x1F6) & 0x10 == 0)
    #expect(ide.status == 0x50)
  }

  @Test(
    "if the first sector, or a write's last one, is beyond the end, it is not found and nothing moves",
    arguments: [0x20, 0x24, 0x25, 0x30, 0x34, 0x35, 0xC8, 0xCA] as [UInt8])
  func outOfRange(code: UInt8) throws {
    let (ide, disk) = try IDEBench.withHeldDisk(sectors: 300)
    let isExt = [0x24, 0x25, 0x34, 0x35].contains(code)
    let isWrite = [0x30, 0x34, 0x35, 0xCA].contains(code)
    func expectNotFound() {
      #expect(ide.primaryLine.isAsserted)
      #expect(ide.status == 0x51)
      #expect(ide.error == 0x10)
    }
    if isExt {
      for (lba, count) in [(300, 1), (isWrite ? 299 : 300, 2), (isWrite ? 0 : 300, 0), (0xFFFF_FFFF_FFFF, 0)]
        as [(UInt64, UInt16)]
      {
        ide.commandExt(code, lba: lba, count: count)
        expectNotFound()
      }
    } else {
      for (lba, count) in [(300, 1), (isWrite ? 299 : 300, 2), (isWrite ? 45 : 300, 0), (0x0FFF_FFFF, 0)]
        as [(UInt32, UInt8)]
      {
        ide.command(code, lba: lba, count: count)
        expectNotFound()
      }
    }
    ide.settle()
    #expect(disk.submitted == 0)
    #expect(ide.bench.counters[.badRequest] == 4)
  }

  @Test(
    "a read across the end moves the existing sectors and fails at the first missing one",
    arguments: [0x20, 0xC8] as [UInt8])
  func acrossTheEnd(code: UInt8) throws {
    let (ide, disk) = try IDEBench.withDisk(sectors: 300)
    disk.store(pattern(1024), sector: 298)
    if code == 0x20 {
      ide.command(0x20, lba: 298, count: 5)
      ide.settle()
      #expect(ide.status == 0x58)
      #expect(ide.words(512) == pattern(1024))
    } else {
      ide.table([(0x10000, 2560)])
      #expect(ide.dma(0xC8, lba: 298, count: 5) & 0x04 == 0x04)
      #expect(ide.bench.bytes(at: 0x10000, count: 1024) == pattern(1024))
      #expect(ide.bench.bytes(at: 0x10400, count: 1) == [0])
    }
    #expect(ide.primaryLine.isAsserted)
    #expect(ide.status == 0x51)
    #expect(ide.error == 0x10)
    #expect((0x1F2...0x1F5).map { ide.inb($0) } == [3, 0x2C, 0x01, 0], "three are left, from sector 300 on")
  }

  @Test(
    "READ VERIFY and a write across the end report the first missing sector", arguments: [0x40, 0x30, 0xCA] as [UInt8])
  func missingSector(code: UInt8) throws {
    let (ide, _) = try IDEBench.withDisk(sectors: 300)
    ide.command(code, lba: 298, count: 5)
    #expect(ide.status == 0x51)
    #expect((0x1F1...0x1F5).map { ide.inb($0) } == [0x10, 3, 0x2C, 0x01, 0])
  }

  @Test(
    "a host error makes a read uncorrectable and a write a device fault",
    arguments: [(0xC8, 0x51, 0x40), (0xCA, 0x71, 0x04)] as [(UInt8, UInt8, UInt8)])
  func hostError(code: UInt8, status: UInt8, error: UInt8) throws {
    let (ide, disk) = try IDEBench.withHeldDisk(sectors: 1 << 24)
    ide.table([(0x10000, 512)])
    ide.command(code, lba: 0x0123456)
    ide.outb(0xC400, code == 0xC8 ? 0x09 : 0x01)
    ide.settle()
    disk.release(.failed(5))
    #expect(ide.busMasterStatus & 0x06 == 0x04)
    #expect(ide.status == status)
    #expect(ide.error == error)
    #expect((0x1F3...0x1F5).map { ide.inb($0) } == [0x56, 0x34, 0x12])
    #expect(ide.bench.counters[.diskErrors] == 1)
  }

  @Test("writes to a read-only disk are aborted")
  func readOnly() throws {
    let ide = try IDEBench()
    let disk = try MemoryStorage(sectorCount: 64, isReadOnly: true, counters: Counters(owner: "disk"))
    ide.controller.attachDrive(disk, channel: 0, drive: 0, model: "r", serial: "r")
    ide.plug()
    ide.command(0x30)
    ide.put(pattern(512))
    ide.settle()
    #expect(ide.status == 0x51)
    #expect(ide.error == 0x04)
  }
}
