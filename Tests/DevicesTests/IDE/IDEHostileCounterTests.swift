import TestSupport
import Testing

@Suite("Counters under a hostile IDE driver")
struct IDEHostileCounterTests {
  @Test("a table shorter than the command: neither active nor interrupt, and a bad descriptor")
  func shortTable() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.table([(0x10000, 512)])
    #expect(ide.dma(0xC8, count: 2) == 0x00)
    #expect(ide.bench.counters[.badDescriptor] == 1)
    #expect(ide.bench.counters[.badAddress] == 0)
  }

  @Test("a table without end: an error, and a bad address")
  func endlessTable() throws {
    let (ide, _) = try IDEBench.withDisk(sectors: 70000)
    #expect(ide.dmaWithoutEnd() == 0x02)
    #expect(ide.bench.counters[.badAddress] == 1)
  }

  @Test("a command that the disk does not have: ABRT, and a bad request", arguments: [0x01, 0xA0, 0xFF] as [UInt8])
  func unknownCommand(code: UInt8) throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.command(code)
    #expect(ide.status == 0x51)
    #expect(ide.error == 0x04)
    #expect(ide.bench.counters[.badRequest] == 1)
  }
}
