import Bus
import Devices
import TestSupport
import Testing

@Suite("ACPI's fixed hardware (ACPI 6.4, 4.8.3)")
struct ACPIFixedHardwareTests {
  private let bus = Bus()
  private let line = RecordedLine()
  private let powerOffs = CallCount()
  private let hardware: ACPIFixedHardware

  init() {
    hardware = ACPIFixedHardware(line: line) { [powerOffs] in powerOffs.add() }
    hardware.attach(to: bus)
  }

  private func read(_ port: UInt64) -> UInt64 { bus.read(.port, port, width: 2) }
  private func write(_ port: UInt64, _ value: UInt64) { bus.write(.port, port, width: 2, value) }

  @Test("4.8.3.2.1: SCI_EN is always set, SLP_TYPx reads back, all else reads 0")
  func control() {
    #expect(read(0x604) == 0x0001)
    write(0x604, 0xDFFF)
    #expect(read(0x604) == 0x1C01)
    write(0x604, 0x0000)
    #expect(read(0x604) == 0x0001)
    #expect(powerOffs.count == 0)
  }

  @Test("4.8.3.1: enables read back, as far as there are events; Linux counts on those of button, global lock and RTC")
  func enables() {
    write(0x602, 0xFFFF)
    #expect(read(0x602) == 0x0520)
    #expect(read(0x600) == 0)
    #expect(line.changes == [])
  }

  @Test("the power button raises SCI while enabled, until its status bit is written as 1")
  func powerButton() {
    hardware.pressPowerButton()
    #expect(read(0x600) == 0x0100)
    #expect(line.changes == [])
    write(0x602, 0x0100)
    #expect(line.changes == [true])
    write(0x600, 0xFEFF)
    #expect(line.isAsserted)
    #expect(read(0x600) == 0x0100)
    write(0x600, 0x0100)
    #expect(line.changes == [true, false])
    #expect(read(0x600) == 0)
    hardware.pressPowerButton()
    hardware.pressPowerButton()
    #expect(line.changes == [true, false, true])
    write(0x602, 0x0000)
    #expect(line.changes == [true, false, true, false])
    #expect(read(0x600) == 0x0100)
  }

  @Test("SLP_EN with SLP_TYPx of \\_S5 (5) powers off; any other type does nothing", arguments: 0..<8 as Range<UInt64>)
  func sleep(type: UInt64) {
    // As Linux does: the type alone, then with SLP_EN.
    write(0x604, type << 10)
    #expect(powerOffs.count == 0)
    write(0x604, type << 10 | 0x2000)
    #expect(powerOffs.count == (type == 5 ? 1 : 0))
    #expect(read(0x604) == type << 10 | 0x0001, "SLP_EN reads 0")
  }

  @Test("the registers are bytes, too")
  func bytes() {
    bus.write(.port, 0x603, width: 1, 0x01)
    #expect(read(0x602) == 0x0100)
    bus.write(.port, 0x602, width: 1, 0x20)
    #expect(read(0x602) == 0x0120)
    hardware.pressPowerButton()
    #expect(bus.read(.port, 0x601, width: 1) == 0x01)
    #expect(bus.read(.port, 0x600, width: 4) == 0x0120_0100)
    bus.write(.port, 0x601, width: 1, 0x01)
    #expect(bus.read(.port, 0x601, width: 1) == 0)
    bus.write(.port, 0x605, width: 1, 0x34)
    #expect(powerOffs.count == 1)
  }

  @Test("every value in every width at every port is survived")
  func noise() {
    for port in 0x600...0x605 as ClosedRange<UInt64> {
      for width in [1, 2, 4, 8] {
        for value in 0...255 as ClosedRange<UInt64> {
          hardware.pressPowerButton()
          bus.write(.port, port, width: width, value &* 0x0101_0101_0101_0101)
          _ = bus.read(.port, port, width: width)
        }
      }
    }
    #expect(read(0x604) & 0xE3FF == 0x0001)
    #expect(bus.read(.port, 0x605, width: 4) | 0xFF == 0xFFFF_FFFF)
  }
}
