import Bus
import Devices
import TestSupport
import Testing

@Suite("The real-time clock's time and memory (MC146818A)")
struct RealTimeClockTests {
  @Test("the host's time in UTC, in BCD and 24 hours, as firmware leaves it")
  func time() throws {
    let bench = try ClockBench()
    #expect(bench.read(0x0A) == 0x26)
    #expect(bench.read(0x0B) == 0x02)
    #expect(bench.read(0x0D) == 0x80)
    #expect(bench.time7 == [0x20, 0x26, 0x03, 0x01, 0x23, 0x59, 0x58])
    #expect(bench.read(6) == 1, "Sunday")
    bench.advance(by: 2_000_000_000)
    #expect(bench.time7 == [0x20, 0x26, 0x03, 0x02, 0x00, 0x00, 0x00])
    #expect(bench.read(6) == 2)
  }

  @Test(
    "the calendar at its limits",
    arguments: [
      (0, [19, 70, 1, 1, 0, 0, 0, 5]), (951_782_399, [20, 0, 2, 28, 23, 59, 59, 2]),
      (951_782_400, [20, 0, 2, 29, 0, 0, 0, 3]), (1_709_164_800, [20, 24, 2, 29, 0, 0, 0, 5]),
      (4_107_542_400, [21, 0, 3, 1, 0, 0, 0, 2]), (253_402_300_799, [99, 99, 12, 31, 23, 59, 59, 6]),
      (-1, [19, 69, 12, 31, 23, 59, 59, 4]),
    ] as [(Int64, [UInt8])])
  func calendar(seconds: Int64, expected: [UInt8]) throws {
    let bench = try ClockBench(start: seconds)
    bench.write(0x0B, 0x06)
    #expect(bench.time7 + [bench.read(6)] == expected)
  }

  @Test(
    "day by day over leap years and centuries, each day also written back",
    arguments: [(1896, -2_335_219_200), (1996, 820_454_400), (2096, 3_976_214_400), (2396, 13_443_408_000)]
      as [(Int, Int64)])
  func everyDay(firstYear: Int, start: Int64) throws {
    let bench = try ClockBench(start: start)
    bench.write(0x0B, 0x06)
    for year in firstYear..<firstYear + 9 {
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      for (month, days) in zip(1..., [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        for day in 1...days {
          bench.write(7, UInt8(day))
          let expected = [year / 100, year % 100, month, day].map { UInt8($0) }
          #expect(Array(bench.time7.prefix(4)) == expected)
          bench.stepHost(seconds: 86400)
        }
      }
    }
  }

  @Test("register B: binary, and 12 hours with bit 7 for PM")
  func formats() throws {
    let bench = try ClockBench()
    bench.write(0x0B, 0x06)
    #expect(bench.time7 == [20, 26, 3, 1, 23, 59, 58])
    bench.write(0x0B, 0x00)
    #expect(bench.read(4) == 0x91)
    bench.write(0x0B, 0x04)
    #expect(bench.read(4) == 0x8B)
    bench.advance(by: 2_000_000_000)
    #expect(bench.read(4) == 12, "midnight is 12 AM")
    bench.advance(by: 12 * 3_600_000_000_000)
    #expect(bench.read(4) == 0x8C, "noon is 12 PM")
  }

  @Test("a guest sets the time as Linux does; the first update is half a second later, and the offset stays")
  func setting() throws {
    let bench = try ClockBench()
    bench.advance(by: 123_456_789)
    bench.set([0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59])
    #expect(bench.time7 == [0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59])
    bench.advance(by: 499_999_999)
    #expect(bench.time7 == [0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59])
    bench.advance(by: 1)
    #expect(bench.time7 == [0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00])
    bench.stepHost(seconds: 60)
    #expect(bench.read(2) == 0x01)
  }

  @Test("SET stops the time, but the fraction of a second continues")
  func held() throws {
    let bench = try ClockBench()
    bench.advance(by: 250_000_000)
    bench.write(0x0B, 0x82)
    bench.advance(by: 10_000_000_000)
    #expect(bench.time7 == [0x20, 0x26, 0x03, 0x01, 0x23, 0x59, 0x58])
    bench.write(0, 0x30)
    #expect(bench.read(0) == 0x30)
    bench.write(0x0B, 0x02)
    bench.advance(by: 749_999_999)
    #expect(bench.read(0) == 0x30)
    bench.advance(by: 1)
    #expect(bench.read(0) == 0x31)
  }

  @Test("the bytes written under SET are read in the format that ends it")
  func formatAtEnd() throws {
    let bench = try ClockBench()
    bench.write(0x0B, 0x82)
    for (register, value) in [(0x32, 20), (9, 30), (8, 11), (7, 28), (4, 0x81), (2, 45), (0, 50)] as [(UInt8, UInt8)] {
      bench.write(register, value)
    }
    bench.write(0x0B, 0x04)
    #expect(bench.time7 == [20, 30, 11, 28, 0x81, 45, 50])
    bench.write(0x0B, 0x06)
    #expect(bench.read(4) == 13)
  }

  @Test("a byte written while the clock runs sets only that byte; the day of the week counts separately")
  func single() throws {
    let bench = try ClockBench()
    bench.write(2, 0x10)
    #expect(bench.time7 == [0x20, 0x26, 0x03, 0x01, 0x23, 0x10, 0x58])
    bench.write(6, 5)
    #expect(bench.read(6) == 5)
    bench.advance(by: 3 * 86_400_000_000_000)
    #expect(bench.read(6) == 1, "1 follows 7")
    #expect(bench.read(7) == 0x04)
  }

  @Test("an impossible time becomes the nearest legal one")
  func illegal() throws {
    let bench = try ClockBench()
    bench.set([0x20, 0x23, 0x02, 0x31, 0xFF, 0xFF, 0xFF])
    #expect(bench.time7 == [0x20, 0x23, 0x02, 0x28, 0x23, 0x59, 0x59])
    bench.set([0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0x00])
    #expect(bench.time7 == [0x99, 0x99, 0x01, 0x01, 0x00, 0x00, 0x00])
    bench.set([0x99, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59])
    bench.advance(by: 1_000_000_000)
    #expect(bench.time7 == [0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00])
  }

  @Test("UIP is set in the 244 us before an update, and never while there is none")
  func updateInProgress() throws {
    let bench = try ClockBench()
    bench.advance(by: 999_755_999)
    #expect(bench.read(0x0A) == 0x26)
    bench.advance(by: 1)
    #expect(bench.read(0x0A) == 0xA6)
    bench.write(0x0B, 0x82)
    #expect(bench.read(0x0A) == 0x26)
    bench.write(0x0B, 0x02)
    #expect(bench.read(0x0A) == 0xA6)
    bench.write(0x0A, 0x76)
    #expect(bench.read(0x0A) == 0x76)
    bench.write(0x0A, 0x26)
    bench.advance(by: 500_000_000)
    #expect(bench.read(0x0A) == 0x26)
  }

  @Test("the index port accepts bit 7 for NMI and is write-only, and KVM may hold its writes")
  func indexPort() throws {
    let bench = try ClockBench()
    #expect(bench.read(0x8D) == 0x80)
    #expect(bench.bus.read(.port, 0x70, width: 1) == 0xFF)
    bench.bus.write(.port, 0x70, width: 2, 0x5A40)
    #expect(bench.read(0x40) == 0x5A, "a word write is an index and its byte")
    let range = try #require(bench.bus.range(.port, at: 0x70))
    guard range.accelerations.count == 1, case .coalesced(offset: 0, size: 1) = range.accelerations[0] else {
      Issue.record("\(range.accelerations)")
      return
    }
  }

  @Test("memory stores its writes; C and D do not")
  func memory() throws {
    let bench = try ClockBench()
    for register in 0x0E...0x7F as ClosedRange<UInt8> where register != 0x32 { bench.write(register, register ^ 0xA5) }
    for register in 0x0E...0x7F as ClosedRange<UInt8> where register != 0x32 {
      #expect(bench.read(register) == register ^ 0xA5)
    }
    bench.write(0x0C, 0xFF)
    bench.write(0x0D, 0x00)
    #expect(bench.read(0x0C) == 0)
    #expect(bench.read(0x0D) == 0x80)
    bench.write(0x0B, 0x03)
    #expect(bench.read(0x0B) == 0x02, "no daylight saving")
  }

  @Test(
    "memory sizes and equipment, as SeaBIOS leaves them",
    arguments: [
      (64 << 10, [0x40, 0, 0, 0, 0, 0, 0, 0, 0]), (2 << 20, [0x80, 0x02, 0, 0x04, 0, 0, 0, 0, 0]),
      (256 << 20, [0x80, 0x02, 0xFF, 0xFF, 0x00, 0x0F, 0, 0, 0]),
      (5 << 30, [0x80, 0x02, 0xFF, 0xFF, 0x00, 0xBF, 0x00, 0x80, 0x00]),
    ] as [(Int, [UInt8])])
  func firmware(size: Int, expected: [UInt8]) throws {
    let bench = try ClockBench(memorySize: size)
    #expect([0x15, 0x16, 0x17, 0x18, 0x34, 0x35, 0x5B, 0x5C, 0x5D].map { bench.read($0) } == expected)
    #expect([0x30, 0x31].map { bench.read($0) } == Array(expected[2...3]))
    #expect(bench.read(0x10) == 0)
    #expect(bench.read(0x14) == 0x02)
    let sum = (0x10...0x2D as ClosedRange<UInt8>).reduce(0) { $0 + Int(bench.read($1)) }
    #expect(Int(bench.read(0x2E)) << 8 | Int(bench.read(0x2F)) == sum)
  }
}
