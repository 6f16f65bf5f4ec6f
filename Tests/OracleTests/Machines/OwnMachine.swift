import Backends
import Bus
import Devices
import EventLoop
import GuestMemory
import TestSupport

/// Our devices on a bus without a CPU, at the addresses of QEMU's machine `pc`.
final class OwnMachine {
  private let bench: DeviceBench
  private let wire = OwnWire()
  private let clock: RealTimeClock
  private let serial: Serial16550
  private var disks: [[SparseDisk?]] = [[nil, nil], [nil, nil]]
  /// ISA interrupts by number.
  private let lines: [Int: RecordedLine]

  init() throws {
    bench = try DeviceBench(memorySize: 16 << 20)
    let lines = Dictionary(uniqueKeysWithValues: [4, 8, 11, 14, 15].map { ($0, RecordedLine()) })
    self.lines = lines
    func line(_ interrupt: Int) -> RecordedLine { lines[interrupt] ?? RecordedLine() }
    serial = Serial16550(line: line(4), backend: NullSerial())
    serial.attach(to: bench.bus)
    let time = bench.clock
    clock = RealTimeClock(line: line(8), loop: bench.loop, memorySize: 16 << 20) {
      let now = Int64(time.now)
      return (1_772_409_598 + now / 1_000_000_000, now % 1_000_000_000)
    }
    clock.attach(to: bench.bus)

    let controller = try IDEController(
      name: "ide", memory: bench.memory, loop: bench.loop, counters: bench.counters)
    controller.attachPorts(to: bench.bus, lines: (line(14), line(15)))
    for disk in OracleDisk.all {
      let storage = SparseDisk(sectorCount: disk.sectorCount)
      disks[disk.channel][disk.drive] = storage
      controller.attachDrive(
        storage, channel: disk.channel, drive: disk.drive, model: "QEMU HARDDISK", serial: disk.serial)
    }
    let nic = try E1000(
      name: "e1000", macAddress: [0x52, 0x54, 0x00, 0x12, 0x34, 0x56], memory: bench.memory, backend: wire,
      loop: bench.loop, counters: bench.counters)
    plug(makeHostBridgeFunction(), device: 0, line: nil)
    plug(PIIX3Bridge(), device: 1, line: nil)
    plug(controller, device: 1, function: 1, line: nil)
    plug(nic, device: 4, line: line(11))
    bench.settle()
  }

  deinit { clock.detach() }

  private func plug(_ function: PCIFunction, device: Int, function number: Int = 0, line: RecordedLine?) {
    bench.bridge.plug(function, device: device, function: number)
    function.attach(to: bench.bus, line: line, interruptLine: 0)
  }

  /// Plays a script from power-on.
  static func play(_ script: Script) throws -> [Observation] {
    let machine = try OwnMachine()
    for step in Firmware.steps { _ = machine.play(step) }
    return script.steps.compactMap { machine.play($0) }
  }

  private func play(_ step: Step) -> Observation? {
    switch step {
    case .write(let space, let address, let width, let value):
      bench.bus.write(space == .port ? .port : .memory, address, width: width, value)
    case .read(let space, let address, let width, _, _):
      let value = bench.bus.read(space == .port ? .port : .memory, address, width: width)
      return .value(width == 8 ? value : value & (1 << UInt64(8 * width) - 1))
    case .readWords(let port, let count, _):
      var bytes = [UInt8](repeating: 0, count: 2 * count)
      for index in 0..<count {
        let word = bench.inw(port)
        bytes[2 * index] = UInt8(truncatingIfNeeded: word)
        bytes[2 * index + 1] = UInt8(truncatingIfNeeded: word >> 8)
        bench.settle()
      }
      return .bytes(bytes)
    case .writeWords(let port, let bytes):
      for index in 0..<bytes.count / 2 {
        bench.outw(port, UInt16(bytes[2 * index]) | UInt16(bytes[2 * index + 1]) << 8)
      }
    case .store(let address, let bytes): bench.store(bytes, at: address)
    case .load(let address, let count, _): return .bytes(bench.bytes(at: address, count: count))
    case .settle(let ticks):
      bench.settle()
      bench.advance(by: UInt64(ticks) * Firmware.tick)
    case .level(let interrupt, _): return .value(lines[interrupt]?.isAsserted == true ? 1 : 0)
    case .receive(let frame):
      wire.deliver(frame)
      bench.settle()
    case .sent: return .frames(wire.takeSent())
    case .disk(let channel, let drive, let sector, let count, _):
      return .bytes(disks[channel][drive]?.bytes(sector, count: count) ?? [])
    }
    return nil
  }
}
