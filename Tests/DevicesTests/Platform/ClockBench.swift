import Bus
import Devices
import EventLoop
import Synchronization
import TestSupport

/// A real-time clock on a bus. The host's time starts at 2026-03-01 23:59:58 UTC, a Sunday, and moves with the loop's.
final class ClockBench {
  let bus = Bus()
  let line = RecordedLine()
  let loop: EventLoop
  let clock: RealTimeClock
  private let time = VirtualClock()
  private let wall: Wall

  init(memorySize: Int = 256 << 20, start: Int64 = 1_772_409_598) throws {
    loop = try EventLoop(name: "test", clock: time)
    let wall = Wall(time: time, start: start)
    clock = RealTimeClock(line: line, loop: loop, memorySize: memorySize) { wall.now }
    self.wall = wall
    clock.attach(to: bus)
  }

  private final class Wall: Sendable {
    let time: VirtualClock
    let start: Int64
    /// Seconds by which the host's clock was set forward.
    let step = Atomic<Int64>(0)
    init(time: VirtualClock, start: Int64) {
      self.time = time
      self.start = start
    }
    var now: (seconds: Int64, nanoseconds: Int64) {
      let now = Int64(time.now)
      return (start + step.load(ordering: .relaxed) + now / 1_000_000_000, now % 1_000_000_000)
    }
  }

  func stepHost(seconds: Int64) { wall.step.add(seconds, ordering: .relaxed) }

  func read(_ register: UInt8) -> UInt8 {
    bus.write(.port, 0x70, width: 1, UInt64(register))
    return UInt8(bus.read(.port, 0x71, width: 1))
  }

  func write(_ register: UInt8, _ value: UInt8) {
    bus.write(.port, 0x70, width: 1, UInt64(register))
    bus.write(.port, 0x71, width: 1, UInt64(value))
  }

  /// Century, year, month, day, hours, minutes, seconds, as they stand in the registers.
  var time7: [UInt8] { [0x32, 9, 8, 7, 4, 2, 0].map { read($0) } }

  /// Moves time forward, runs due handlers, and returns how many ran.
  @discardableResult
  func advance(by nanoseconds: UInt64) -> Int {
    time.advance(by: nanoseconds)
    var count = 0
    while loop.runOnce(), count < 1000 { count += 1 }
    return count
  }

  /// Sets the time as Linux does: SET and a reset of the divider, the bytes, then both back.
  func set(_ bytes: [UInt8], registerB: UInt8 = 0x02) {
    write(0x0B, registerB | 0x80)
    write(0x0A, 0x26 | 0x70)
    for (register, byte) in zip([0x32, 9, 8, 7, 4, 2, 0] as [UInt8], bytes) { write(register, byte) }
    write(0x0B, registerB)
    write(0x0A, 0x26)
  }
}
