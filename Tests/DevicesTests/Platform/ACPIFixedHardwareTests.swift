import Bus
import Devices
import EventLoop
import TestSupport
import Testing

@Suite("ACPI's fixed hardware (ACPI 6.4, 4.8.3)")
struct ACPIFixedHardwareTests {
  private let bus = Bus()
  private let line = RecordedLine()
  private let powerOffs = CallCount()
  private let clock = VirtualClock()
  private let loop: EventLoop
  private let hardware: ACPIFixedHardware

  init() throws {
    loop = try EventLoop(name: "test", clock: clock)
    hardware = ACPIFixedHardware(line: line, loop: loop) { [powerOffs] in powerOffs.add() }
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

  @Test("4.8.3.1: enables of existing events read back; Linux relies on those of button, global lock and RTC")
  func enables() {
    write(0x602, 0xFFFF)
    #expect(read(0x602) == 0x0521)
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

  @Test("4.8.3.3: the PM timer counts 3.579545 MHz in 32 bits, and wraps around")
  func timer() {
    #expect(bus.read(.port, 0x608, width: 4) == 0)
    clock.advance(by: 1_000_000_000)
    #expect(bus.read(.port, 0x608, width: 4) == 3_579_545)
    clock.advance(by: 1_000_000)
    #expect(bus.read(.port, 0x608, width: 4) == 3_583_124)
    // 3 583 124 is 36AC94H.
    #expect(bus.read(.port, 0x608, width: 2) == 0xAC94)
    #expect((0..<4).map { bus.read(.port, 0x608 + $0, width: 1) } == [0x94, 0xAC, 0x36, 0])
    bus.write(.port, 0x608, width: 4, 0)
    #expect(bus.read(.port, 0x608, width: 4) == 3_583_124, "it is read-only")
    clock.advance(by: 1_199_864_000_000 - 1_001_000_000)
    // 1199.864 s are 4 294 967 181.88 ticks; 2^32 is 4 294 967 296.
    #expect(bus.read(.port, 0x608, width: 4) == 4_294_967_181)
    clock.advance(by: 1_000_000)
    #expect(bus.read(.port, 0x608, width: 4) == 3_465)
    // The timer still counts after almost three centuries of host time.
    clock.advance(by: 1 << 63)
    _ = bus.read(.port, 0x608, width: 4)
  }

  @Test("4.8.3.1.1: TMR_STS is set each time the timer's bit 31 changes, every 599.9 s, until it is written as 1")
  func carry() {
    clock.advance(by: 599_932_000_000)
    #expect(read(0x600) == 0)
    clock.advance(by: 1_000_000)
    #expect(read(0x600) == 0x0001)
    #expect(line.changes == [])
    write(0x600, 0x0001)
    #expect(read(0x600) == 0)
    clock.advance(by: 599_933_000_000)
    #expect(read(0x600) == 0x0001)
  }

  @Test("4.8.3.1.2: with TMR_EN, the carry raises SCI in time; without it, no timer of the loop runs")
  func carryInterrupt() {
    clock.advance(by: 700_000_000_000)
    #expect(!loop.runOnce())
    write(0x600, 0x0001)
    write(0x602, 0x0001)
    #expect(line.changes == [])
    clock.advance(by: 499_864_000_000)
    #expect(!loop.runOnce())
    clock.advance(by: 1_000_000)
    #expect(loop.runOnce())
    #expect(line.changes == [true])
    write(0x600, 0x0001)
    #expect(line.changes == [true, false])
    hardware.detach()
    clock.advance(by: 1_000_000_000_000)
    #expect(!loop.runOnce())
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

  @Test("the registers accept byte accesses")
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

  @Test("no value at any width at any port traps")
  func noise() {
    for port in 0x600...0x60B as ClosedRange<UInt64> {
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
