import Backends
import Bus
import Counters
import DeviceSupport
import Devices
import Synchronization

/// Several functions on one bus, whose BARs the guest moves over each other, over ports and over the interrupt
/// controllers.
final class PCIGuest: Guest {
  let board: Board
  private let functions: [PCIFunction]
  private let watcher = Watcher()
  private let network: Network
  private let messages = RecordedMessages()
  private let lines = (RecordedLine(), RecordedLine())

  /// Plays KVM for the bus: holds one write to a range, and checks that ranges are disjoint.
  private final class Watcher: BusObserver, WriteCoalescer {
    private let ranges = Mutex<[BusRange]>([])
    private let pages = RegisterPageSlots()
    private let held = Mutex<(range: BusRange, offset: UInt64)?>(nil)

    func mapped(_ range: BusRange) {
      ranges.withLock { ranges in
        for other in ranges where other.space == range.space {
          check(
            other.base &+ other.size <= range.base || range.base &+ range.size <= other.base,
            "\(range.name) overlaps \(other.name)")
        }
        ranges.append(range)
      }
      pages.mapped(range)
    }

    func willUnmap(_ range: BusRange) {
      applyHeldWrites()
      pages.willUnmap(range)
      ranges.withLock { $0.removeAll { $0 === range } }
    }

    /// Keeps a write that the guest made without an exit, where KVM holds writes.
    func hold(_ number: Int, _ offset: UInt64) {
      var places: [(range: BusRange, offset: UInt64)] = []
      for range in ranges.withLock({ $0 }) {
        for case .coalesced(let start, let size) in range.accelerations {
          places.append((range, start + offset % size))
        }
      }
      if !places.isEmpty { held.withLock { $0 = places[number % places.count] } }
    }

    func applyHeldWrites() {
      let write = held.withLock { held in
        defer { held = nil }
        return held
      }
      guard let write else { return }
      write.range.target.write(BusAccess(region: write.range.region, offset: write.offset, width: 1), 0x5A)
    }
  }

  init(_ first: Operation) throws {
    board = try Board(
      windows: [
        Board.Window(space: .memory, base: 0xE000_0000, size: 0x4000),
        Board.Window(space: .memory, base: 0xE010_0000, size: 0x4000),
        Board.Window(space: .memory, base: 0xFEBF_0000, size: 0x2_0000),
        Board.Window(space: .port, base: 0xC000, size: 0x1000), Board.Window(space: .port, base: 0, size: 0x1_0000),
      ], registers: [])
    let bench = board.bench
    network = Network(bench.loop)
    let disk = try MemoryStorage(sectorCount: 64, counters: Counters(owner: "disk"))
    let block = try VirtioBlock(
      name: "blk", storage: disk, serial: "1", queueCount: 1, memory: bench.memory, loop: bench.loop,
      counters: bench.counters, options: .init())
    block.messages?.connect(messages)
    let nic = try E1000(
      name: "nic", macAddress: E1000Packet.mac, memory: bench.memory, backend: network.port, loop: bench.loop,
      counters: bench.counters)
    let ide = try IDEController(name: "ide", memory: bench.memory, loop: bench.loop, counters: bench.counters)
    ide.attachPorts(to: bench.bus, lines: lines)
    functions = [block, nic, ide, PIIX3Bridge(), makeHostBridgeFunction()]
    bench.bus.observe(watcher)
    bench.bus.connect(watcher)
    for (index, function) in functions.enumerated() {
      bench.bridge.plug(function, device: 4, function: index)
      function.attach(to: bench.bus, line: lines.0, interruptLine: 11)
    }
  }

  deinit { network.disconnect() }

  func perform(_ operation: Operation) {
    let number = Int(operation.selector & 7) % functions.count
    let target = UInt16(0x2000 | number << 8)
    switch operation.code {
    case 0, 1, 2:
      // A BAR: an address of few, so that ranges meet, or any.
      let places: [UInt32] = [
        0xE000_0000, 0xE001_0000, 0xE000_4000, 0xC000, 0xC010, 0x1F0, 0xCF8, 0xFEC0_0000, 0xFEBF_F000, 0xFFFF_FFFF, 0,
        0xFFE0_0000, 0xFEE0_0000, 0x10_0000, 0xFFFC, operation.word,
      ]
      configure(target | UInt16(0x10 + 4 * (operation.half % 6)), 0x80, places[Int(operation.half >> 8 & 15)])
    case 3, 4: configure(target | 0x04, 0x40, operation.word & 0x0407)
    case 5: configure(target | operation.half & 0xFF, operation.selector & 0xC0, operation.word)
    case 6: watcher.hold(Int(operation.half), UInt64(operation.word))
    case 7: board.bench.bus.applyHeldWrites()
    case 8:
      let function = functions[number]
      function.setMessageControl(operation.wordLow)
      (function as? VirtioBlock)?.messages?.connect(messages)
    case 9:
      // An access of the address that a BAR has now.
      let bar = functions[number].readConfiguration(0x10 + 4 * Int(operation.half % 6), width: 4)
      let address = UInt64(bar & ~15) + UInt64(operation.wordLow & 0x3FFF)
      if operation.word >> 31 == 0 {
        _ = board.bench.bus.read(bar & 1 == 0 ? .memory : .port, address, width: operation.width)
      } else {
        board.bench.bus.write(bar & 1 == 0 ? .memory : .port, address, width: operation.width, operation.long)
      }
    default: functions[number].setPin(asserted: operation.selector & 0x80 == 0)
    }
  }

  private func configure(_ place: UInt16, _ width: UInt8, _ value: UInt32) {
    _ = board.perform(Operation(7, width | 0x20, place, value))
  }

  /// Each function decodes its registers at free addresses.
  func checkRecovery() {
    for function in functions { function.writeConfiguration(0x04, 0, width: 2) }
    // A function without BARs frees no addresses, so unmapping is all.
    board.restore(functions[0])
    check(board.bench.bus.range(.memory, at: 0xE000_0000)?.target === functions[0], "BAR 0 is not mapped")
    functions[0].writeConfiguration(0x04, 0, width: 2)
    board.restore(functions[1])
    check(board.bench.bus.range(.memory, at: 0xE000_0000)?.target === functions[1], "BAR 0 is not mapped")
  }
}
