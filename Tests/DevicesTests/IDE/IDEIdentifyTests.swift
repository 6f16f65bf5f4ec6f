import Backends
import Counters
import TestSupport
import Testing

@Suite("IDENTIFY DEVICE (ATA/ATAPI-6, 8.15)")
struct IDEIdentifyTests {
  @Test("names, capacity, modes and command sets are those of the disk")
  func words() throws {
    let (ide, _) = try IDEBench.withDisk(sectors: 4032)
    let words = ide.identify()
    #expect(words[0] == 0x0040)
    #expect(words[1] == 4 && words[3] == 16 && words[6] == 63)
    func text(_ range: Range<Int>) -> String {
      String(decoding: range.flatMap { [UInt8(words[$0] >> 8), UInt8(words[$0] & 0xFF)] }, as: UTF8.self)
    }
    #expect(text(10..<20) == "SL0001              ")
    #expect(text(23..<27) == "1.0     ")
    #expect(text(27..<47) == "swiftlet disk                           ")
    #expect(words[47] == 0x8010)
    #expect(words[49] & 0x0300 == 0x0300, "DMA and LBA")
    #expect(words[53] == 7)
    #expect(words[54] == 4 && words[55] == 16 && words[56] == 63 && words[57] == 4032 && words[58] == 0)
    #expect(words[59] == 0)
    #expect(words[60] == 4032 && words[61] == 0)
    #expect(words[63] == 0x0007)
    #expect(words[64] == 3)
    #expect(words[65...68] == [120, 120, 120, 120])
    #expect(words[80] == 0x0070)
    #expect(words[82] == 0x4068)
    #expect(words[83] == 0x7400, "FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses")
    #expect(words[84] == 0x4000)
    #expect(words[85] == 0x4048, "a disk without a volatile cache has its write cache off")
    #expect(words[86] == 0x3400)
    #expect(words[87] == 0x4000)
    #expect(words[88] == 0x0007)
    #expect(words[93] == 0x404B)
    #expect(words[100...103] == [4032, 0, 0, 0])
    #expect(words[255] & 0xFF == 0xA5)
    let sum = words.reduce(UInt8(0)) { $0 &+ UInt8($1 & 0xFF) &+ UInt8($1 >> 8) }
    #expect(sum == 0)
  }

  @Test("a disk beyond 28 bits reports how far short addresses reach")
  func large() throws {
    let (ide, _) = try IDEBench.withHeldDisk(sectors: 1 << 33)
    let words = ide.identify()
    #expect(words[1] == 16_383)
    #expect(words[60] == 0xFFFF && words[61] == 0x0FFF)
    #expect(words[100...103] == [0, 0, 2, 0])
    #expect(words[85] & 0x20 == 0x20, "a disk with a volatile cache has its write cache on")
  }

  @Test("interrupts once, with DRQ until all 256 words are read")
  func handshake() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.outb(0x1F6, 0xA0)
    ide.outb(0x1F7, 0xEC)
    ide.settle()
    #expect(ide.primaryLine.changes == [true])
    #expect(ide.alternateStatus == 0x58)
    #expect(ide.primaryLine.isAsserted, "reading Alternate Status does not clear INTRQ")
    #expect(ide.status == 0x58)
    #expect(!ide.primaryLine.isAsserted)
    _ = ide.words(255)
    #expect(ide.status == 0x58)
    _ = ide.words(1)
    #expect(ide.status == 0x50)
    #expect(ide.primaryLine.changes == [true, false])
    #expect(ide.bench.inw(0x1F0) == 0xFFFF, "nothing is left to read")
    #expect(ide.bench.counters[.bytesCopied] == 512)
  }

  @Test("IDENTIFY shows SET FEATURES and SET MULTIPLE MODE")
  func settings() throws {
    let (ide, _) = try IDEBench.withDisk()
    for (features, count) in [(0x03 as UInt8, 0x22 as UInt8), (0x02, 0), (0x55, 0)] {
      ide.command(0xEF, count: count, features: features)
      #expect(ide.status == 0x50)
    }
    ide.command(0xC6, count: 8)
    #expect(ide.status == 0x50)
    let words = ide.identify()
    #expect(words[63] == 0x0407, "multiword DMA 2 is selected")
    #expect(words[85] == 0x4028, "write cache on, look-ahead off")
    #expect(words[59] == 0x0108)
    ide.command(0xEF, count: 0x42, features: 0x03)
    #expect(ide.identify()[88] == 0x0407)
    #expect(ide.identify()[63] == 0x0007)
  }

  @Test("unsupported settings are aborted", arguments: [0x45, 0x23, 0x0D, 0x02, 0x80] as [UInt8])
  func badMode(mode: UInt8) throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.command(0xEF, count: mode, features: 0x03)
    #expect(ide.status == 0x51)
    #expect(ide.error == 0x04)
  }

  @Test("a block of READ MULTIPLE is a power of two up to 16", arguments: [3, 32, 255] as [UInt8])
  func badMultiple(count: UInt8) throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.command(0xC6, count: count)
    #expect(ide.status == 0x51 && ide.error == 0x04)
  }

  @Test("a slave reports that it is a slave")
  func slave() throws {
    let ide = try IDEBench()
    for drive in 0...1 {
      let disk = try MemoryStorage(sectorCount: 2048 * UInt64(drive + 1), counters: Counters(owner: "disk"))
      ide.controller.attachDrive(disk, channel: 0, drive: drive, model: "d\(drive)", serial: "")
    }
    ide.plug()
    #expect(ide.identify(device: 0xB0)[60] == 4096)
    #expect(ide.identify(device: 0xB0)[93] == 0x4B00)
    #expect(ide.identify()[60] == 2048)
    #expect(ide.identify()[93] == 0x403B, "the master saw DASP- and PDIAG-")
  }
}
