import Backends
import TestSupport
import Testing

@Suite("PIO data transfers (ATA/ATAPI-6, 9.5 and 9.6)")
struct IDEPIOTests {
  @Test("READ SECTORS interrupts for each sector, and not after the last word", arguments: [0x20, 0x21] as [UInt8])
  func read(code: UInt8) throws {
    let (ide, disk) = try IDEBench.withDisk()
    disk.store(pattern(1536), sector: 40)
    ide.command(code, lba: 40, count: 3)
    #expect(ide.alternateStatus & 0x80 == 0x80)
    ide.settle()
    var bytes: [UInt8] = []
    for sector in 1...3 {
      #expect(ide.primaryLine.isAsserted, "sector \(sector)")
      #expect(ide.status == 0x58)
      #expect(!ide.primaryLine.isAsserted)
      bytes += ide.words(256)
    }
    #expect(bytes == pattern(1536))
    #expect(ide.status == 0x50)
    #expect(ide.bench.counters[.interrupts] == 3)
    #expect(ide.bench.counters[.diskReads] == 1, "read ahead by one request")
    #expect(ide.bench.counters[.bytesCopied] == 1536)
  }

  @Test(
    "WRITE SECTORS requests the first block without an interrupt, and ends with one",
    arguments: [0x30, 0x31] as [UInt8])
  func write(code: UInt8) throws {
    let (ide, disk) = try IDEBench.withDisk()
    ide.command(code, lba: 9, count: 2)
    #expect(ide.primaryLine.changes == [])
    #expect(ide.status == 0x58)
    ide.put(Array(pattern(1024)[..<512]))
    #expect(ide.alternateStatus & 0x80 == 0x80)
    ide.settle()
    #expect(ide.primaryLine.isAsserted)
    #expect(ide.status == 0x58)
    ide.put(Array(pattern(1024)[512...]))
    ide.settle()
    #expect(ide.primaryLine.isAsserted)
    #expect(ide.status == 0x50)
    #expect(disk.sectors(9, 2) == pattern(1024))
    #expect(ide.bench.counters[.diskWrites] == 2)
  }

  @Test("sector count 0 is 256")
  func count256() throws {
    let (ide, disk) = try IDEBench.withDisk()
    disk.store(pattern(131072), sector: 0)
    ide.command(0x20, count: 0)
    var bytes: [UInt8] = []
    for _ in 0..<256 {
      ide.settle()
      #expect(ide.status == 0x58)
      bytes += ide.words(256)
    }
    #expect(bytes == pattern(131072))
    #expect(ide.status == 0x50)
  }

  @Test("READ and WRITE MULTIPLE move blocks, the last one shorter")
  func multiple() throws {
    let (ide, disk) = try IDEBench.withDisk()
    ide.command(0xC4)
    #expect(ide.status == 0x51 && ide.error == 0x04, "not before SET MULTIPLE MODE")
    ide.command(0xC6, count: 4)
    ide.command(0xC5, lba: 20, count: 6)
    #expect(ide.status == 0x58)
    ide.put(Array(pattern(3072)[..<2048]))
    ide.settle()
    #expect(ide.status == 0x58)
    ide.put(Array(pattern(3072)[2048...]))
    ide.settle()
    #expect(ide.status == 0x50)
    #expect(disk.sectors(20, 6) == pattern(3072))
    let before = ide.bench.counters[.interrupts]
    ide.command(0xC4, lba: 20, count: 6)
    ide.settle()
    #expect(ide.status == 0x58)
    var bytes = ide.words(1024)
    #expect(ide.status == 0x58)
    bytes += ide.words(512)
    #expect(bytes == pattern(3072))
    #expect(ide.status == 0x50)
    #expect(ide.bench.counters[.interrupts] - before == 2)
  }

  @Test("the EXT forms use the high-order bytes", arguments: [false, true])
  func ext(multiple: Bool) throws {
    let (ide, disk) = try IDEBench.withDisk(sectors: 1 << 29)
    ide.command(0xC6, count: 2)
    ide.commandExt(multiple ? 0x39 : 0x34, lba: 0x1100_0005, count: 2)
    ide.put(Array(pattern(1024)[..<512]))
    if !multiple { ide.settle() }
    ide.put(Array(pattern(1024)[512...]))
    ide.settle()
    #expect(ide.status == 0x50)
    #expect(disk.sectors(0x1100_0005, 2) == pattern(1024))
    ide.commandExt(multiple ? 0x29 : 0x24, lba: 0x1100_0005, count: 2)
    ide.settle()
    #expect(ide.words(512) == pattern(1024), "one rep insw may cross blocks that were read ahead")
    #expect(ide.status == 0x50)
  }

  @Test("CHS addresses go through the translation, which 0x91 changes")
  func chs() throws {
    let (ide, disk) = try IDEBench.withDisk(sectors: 4032)
    disk.store(pattern(512, seed: 1), sector: (2 * 16 + 3) * 63 + 4)
    disk.store(pattern(512, seed: 2), sector: (2 * 4 + 3) * 32 + 4)
    func readSector() -> [UInt8] {
      for (port, value) in [(0x1F2, 1), (0x1F3, 5), (0x1F4, 2), (0x1F5, 0), (0x1F6, 0xA3)] as [(UInt64, UInt8)] {
        ide.outb(port, value)
      }
      ide.outb(0x1F7, 0x20)
      ide.settle()
      return ide.words(256)
    }
    #expect(readSector() == pattern(512, seed: 1))
    ide.command(0x91, count: 32, device: 0xA3)
    #expect(ide.status == 0x50)
    #expect(readSector() == pattern(512, seed: 2))
    let words = ide.identify()
    #expect(words[54] == 31 && words[55] == 4 && words[56] == 32)
    #expect(words[1] == 4 && words[3] == 16 && words[6] == 63)
  }

  @Test(
    "a CHS address outside the translation is not found",
    arguments: [(0, 0, 0), (64, 0, 0), (1, 4, 0), (1, 0, 1)] as [(UInt8, UInt8, UInt8)])
  func badCHS(sector: UInt8, cylinder: UInt8, cylinderHigh: UInt8) throws {
    let (ide, _) = try IDEBench.withDisk(sectors: 4032)
    for (port, value) in [(0x1F2, 1), (0x1F3, sector), (0x1F4, cylinder), (0x1F5, cylinderHigh), (0x1F6, 0xA0)]
      as [(UInt64, UInt8)]
    {
      ide.outb(port, value)
    }
    ide.outb(0x1F7, 0x20)
    #expect(ide.status == 0x51)
    #expect(ide.error == 0x10)
  }

  @Test("the data register takes 8, 16 and 32 bits")
  func widths() throws {
    let (ide, disk) = try IDEBench.withDisk()
    ide.command(0x30, lba: 1)
    let bytes = pattern(512)
    ide.outb(0x1F0, bytes[0])
    ide.bench.outw(0x1F0, UInt16(bytes[1]) | UInt16(bytes[2]) << 8)
    ide.outb(0x1F0, bytes[3])
    var long = Array(bytes[4..<508])
    long.withUnsafeBytes { _ = ide.bench.bus.write(.port, 0x1F0, width: 4, from: $0) }
    let last = bytes[508..<512].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    ide.bench.outl(0x1F0, last)
    ide.settle()
    #expect(ide.status == 0x50)
    #expect(disk.sectors(1, 1) == bytes)
    ide.command(0x20, lba: 1)
    ide.settle()
    #expect(ide.inb(0x1F0) == bytes[0])
    #expect(ide.bench.inw(0x1F0) == UInt16(bytes[1]) | UInt16(bytes[2]) << 8)
    #expect(ide.inb(0x1F0) == bytes[3])
    long.withUnsafeMutableBytes { _ = ide.bench.bus.read(.port, 0x1F0, width: 4, into: $0) }
    #expect(long == Array(bytes[4..<508]))
    #expect(ide.bench.inl(0x1F0) == last)
    #expect(ide.bench.inl(0x1F0) == 0xFFFF_FFFF)
  }

  @Test("words beyond the block have no effect when written, and read as ones")
  func beyond() throws {
    let (ide, disk) = try IDEBench.withDisk()
    ide.command(0x30, lba: 1)
    ide.put(pattern(1024))
    ide.settle()
    #expect(ide.status == 0x50)
    #expect(disk.sectors(1, 2) == Array(pattern(1024)[..<512]) + [UInt8](repeating: 0, count: 512))
    ide.command(0x20, lba: 1)
    ide.settle()
    #expect(ide.words(300) == Array(pattern(1024)[..<512]) + [UInt8](repeating: 0xFF, count: 88))
  }

  @Test("a bad sector behind good ones is reported at its own address")
  func badSector() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.command(0x20, lba: 0x50, count: 3)
    ide.settle()
    disk.release(.failed(5))
    #expect(ide.alternateStatus & 0x80 == 0x80, "now reads sector by sector")
    ide.settle()
    disk.release(fill: 1)
    #expect(ide.status == 0x58)
    _ = ide.words(256)
    ide.settle()
    disk.release(.failed(5))
    #expect(ide.primaryLine.isAsserted)
    #expect(ide.status == 0x51)
    #expect(ide.error == 0x40)
    #expect(ide.inb(0x1F3) == 0x51, "the address of the bad sector")
    #expect(ide.inb(0x1F2) == 2, "sectors that are left")
    #expect(ide.bench.counters[.diskErrors] == 2)
  }
}
