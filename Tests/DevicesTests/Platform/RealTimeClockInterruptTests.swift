import Bus
import Devices
import EventLoop
import Synchronization
import TestSupport
import Testing

/// Counts reads of a clock from a given moment on.
private final class Looks: Sendable {
  private let count = Atomic(Int.min)
  func start() { count.store(0, ordering: .relaxed) }
  func next() -> Int { count.add(1, ordering: .relaxed).newValue }
}

@Suite("The real-time clock's interrupts (MC146818A, registers A to C)")
struct RealTimeClockInterruptTests {
  @Test("with interrupts disabled, flags are set without a timer, and reading C clears them")
  func flags() throws {
    let bench = try ClockBench()
    #expect(bench.read(0x0C) == 0x00)
    #expect(bench.advance(by: 900_000_000) == 0)
    #expect(bench.read(0x0C) == 0x40)
    #expect(bench.advance(by: 100_000_000) == 0)
    #expect(bench.read(0x0C) == 0x50, "PF and UF, no IRQF")
    #expect(bench.read(0x0C) == 0x00)
    #expect(bench.line.changes == [])
  }

  @Test("the update interrupt: every second, asserted until C is read")
  func update() throws {
    let bench = try ClockBench()
    bench.write(5, 0x99)
    bench.write(0x0A, 0x20)
    bench.write(0x0B, 0x12)
    bench.advance(by: 999_999_999)
    #expect(bench.line.changes == [])
    bench.advance(by: 1)
    #expect(bench.line.changes == [true])
    #expect(bench.advance(by: 5_000_000_000) == 0, "no timer before C is read")
    #expect(bench.read(0x0C) == 0x90)
    #expect(bench.line.changes == [true, false])
    bench.advance(by: 1_000_000_000)
    #expect(bench.line.changes == [true, false, true])
    bench.write(0x0B, 0x02)
    #expect(!bench.line.isAsserted)
    bench.write(0x0B, 0x12)
    #expect(bench.line.isAsserted, "the flag is still set")
  }

  @Test("SET clears UIE and stops updates; the periodic interrupt continues until the divider is reset")
  func set() throws {
    let bench = try ClockBench()
    bench.write(0x0B, 0xF2)
    #expect(bench.read(0x0B) == 0xE2)
    bench.advance(by: 3_000_000_000)
    #expect(bench.read(0x0C) == 0xC0)
    bench.write(0x0A, 0x66)
    #expect(bench.advance(by: 3_000_000_000) == 0)
    #expect(bench.read(0x0C) == 0x00)
  }

  @Test(
    "the periodic interrupt's rates (table 5, 32 768 Hz)",
    arguments: [
      (1, 3_906_250), (2, 7_812_500), (3, 122_071), (4, 244_141), (6, 976_563), (15, 500_000_000),
    ] as [(UInt8, UInt64)])
  func rates(rate: UInt8, period: UInt64) throws {
    let bench = try ClockBench()
    bench.write(0x0A, 0x20 | rate)
    bench.write(0x0B, 0x42)
    bench.advance(by: period - 1)
    #expect(bench.line.changes == [])
    bench.advance(by: 1)
    #expect(bench.line.changes == [true])
    #expect(bench.read(0x0C) & 0xC0 == 0xC0)
  }

  @Test("rate 0 is no periodic interrupt")
  func noRate() throws {
    let bench = try ClockBench()
    bench.write(0x0A, 0x20)
    bench.write(0x0B, 0x42)
    #expect(bench.advance(by: 10_000_000_000) == 0)
    #expect(bench.read(0x0C) & 0x40 == 0)
  }

  @Test("8192 Hz: one interrupt for each read of C, however much time has passed")
  func flood() throws {
    let bench = try ClockBench()
    bench.write(0x0A, 0x23)
    bench.write(0x0B, 0x42)
    #expect(bench.advance(by: 10_000_000_000) == 1)
    #expect(bench.advance(by: 10_000_000_000) == 0)
    for _ in 0..<5 {
      _ = bench.read(0x0C)
      #expect(bench.advance(by: 1_000_000_000) == 1)
    }
    #expect(bench.line.changes.count == 11)
  }

  @Test("the alarm: an exact time, on the next day if the time is past")
  func alarm() throws {
    let bench = try ClockBench()
    for (register, value) in [(5, 0x00), (3, 0x00), (1, 0x01), (0x0A, 0x20), (0x0B, 0x22)] as [(UInt8, UInt8)] {
      bench.write(register, value)
    }
    #expect(bench.read(5) == 0x00)
    #expect(bench.read(1) == 0x01)
    bench.advance(by: 2_999_999_999)
    #expect(bench.line.changes == [])
    bench.advance(by: 1)
    #expect(bench.line.changes == [true])
    #expect(bench.read(0x0C) == 0xB0)
    bench.advance(by: 86_399_999_999_999)
    #expect(bench.line.changes == [true, false])
    bench.advance(by: 1)
    #expect(bench.line.changes == [true, false, true])
  }

  @Test(
    "0xC0 to 0xFF match any value: each hour, minute, second",
    arguments: [
      ([0xC0, 0x00, 0x00], 3_600), ([0xFF, 0xE5, 0x00], 60), ([0xC0, 0xC0, 0xC0], 1), ([0x01, 0xC0, 0xFF], 1),
    ] as [([UInt8], UInt64)])
  func doNotCare(alarm: [UInt8], period: UInt64) throws {
    // 01:00:00 on 2026-03-02.
    let bench = try ClockBench(start: 1_772_413_200)
    for (register, value) in zip([5, 3, 1] as [UInt8], alarm) { bench.write(register, value) }
    bench.write(0x0A, 0x20)
    bench.write(0x0B, 0x22)
    bench.advance(by: period * 1_000_000_000 - 1)
    #expect(bench.line.changes == [])
    bench.advance(by: 1)
    #expect(bench.line.changes == [true])
  }

  @Test("alarms in binary and 12 hours; an alarm that no time matches never fires, and sets no timer")
  func formats() throws {
    let bench = try ClockBench()
    bench.write(0x0A, 0x20)
    bench.write(0x0B, 0x24)
    for (register, value) in [(5, 12), (3, 0), (1, 0)] as [(UInt8, UInt8)] { bench.write(register, value) }
    bench.advance(by: 2_000_000_000)
    #expect(bench.read(0x0C) == 0xB0)
    for (register, value) in [(5, 0xC0), (3, 0xC0), (1, 60)] as [(UInt8, UInt8)] { bench.write(register, value) }
    #expect(bench.advance(by: 200_000_000_000_000) == 0)
    #expect(bench.read(0x0C) == 0x10)
  }

  @Test("setting the time sets no flags, and the alarm follows the new time")
  func jump() throws {
    let bench = try ClockBench()
    for (register, value) in [(5, 0x12), (3, 0x00), (1, 0x00), (0x0B, 0x22)] as [(UInt8, UInt8)] {
      bench.write(register, value)
    }
    bench.set([0x20, 0x26, 0x03, 0x01, 0x11, 0x59, 0x59], registerB: 0x22)
    _ = bench.read(0x0C)
    #expect(bench.line.changes == [])
    bench.advance(by: 500_000_000)
    #expect(bench.line.changes == [true])
  }

  @Test("a host clock that steps back causes no update; one that steps forward causes one")
  func hostSteps() throws {
    let bench = try ClockBench()
    bench.write(5, 0x99)
    bench.write(0x0A, 0x20)
    bench.stepHost(seconds: -100)
    #expect(bench.read(0x0C) == 0)
    bench.stepHost(seconds: 1_000)
    #expect(bench.read(0x0C) == 0x10)
  }

  @Test("a second that ends during an access is not lost")
  func endOfSecond() throws {
    // The host's time goes from 0.5 to 1.5 s between its first and second read.
    let looks = Looks()
    let (line, bus, time) = (RecordedLine(), Bus(), VirtualClock())
    let loop = try EventLoop(name: "test", clock: time)
    let clock = RealTimeClock(line: line, loop: loop, memorySize: 1 << 30) { (looks.next() > 1 ? 1 : 0, 500_000_000) }
    clock.attach(to: bus)
    bus.write(.port, 0x70, width: 1, 0x0B)
    looks.start()
    bus.write(.port, 0x71, width: 1, 0x12)
    #expect(line.changes == [])
    time.advance(by: 1)
    _ = loop.runOnce()
    #expect(line.changes == [true])
  }

  @Test("a detached clock sets no timer and does not interrupt")
  func detached() throws {
    let bench = try ClockBench()
    bench.write(0x0B, 0x72)
    bench.clock.detach()
    bench.clock.detach()
    bench.write(0x0B, 0x42)
    #expect(bench.advance(by: 10_000_000_000) == 0)
    #expect(bench.line.changes == [])
  }

  @Test("no value at any width at any byte traps, and the loop has at most one timer's work")
  func noise() throws {
    let bench = try ClockBench()
    for register in 0...0x7F as ClosedRange<UInt64> {
      for value in 0...255 as ClosedRange<UInt64> {
        bench.bus.write(.port, 0x70, width: 1, register)
        bench.bus.write(.port, 0x71, width: 1, value)
        _ = bench.bus.read(.port, 0x71, width: 1)
        #expect(bench.advance(by: 7_777_777) <= 1)
      }
    }
    for port in [0x70, 0x71] as [UInt64] {
      for width in [1, 2, 4, 8] {
        bench.bus.write(.port, port, width: width, ~0)
        _ = bench.bus.read(.port, port, width: width)
      }
    }
    var random = SystemRandomNumberGenerator()
    for _ in 0..<5000 {
      bench.write(UInt8(random.next() % 16), UInt8(truncatingIfNeeded: random.next()))
      _ = bench.read(UInt8(random.next() % 16))
      #expect(bench.advance(by: random.next() % 3_000_000_000_000) <= 1)
    }
  }
}
