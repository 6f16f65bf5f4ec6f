import Backends
import Counters
import DeviceSupport
import Devices

/// A virtio-blk with a disk in memory, or with one whose requests wait until an operation completes them.
final class VirtioBlockGuest: Guest {
  let board: Board
  private let device: VirtioBlock
  private let rings: VirtioRings
  private let held: HeldStorage?
  private let messages = RecordedMessages()

  private static let sectors: UInt64 = 256

  init(_ first: Operation) throws {
    board = try Board(windows: virtioWindows, registers: virtioRegisters)
    let storage: any Storage
    if first.selector & 1 != 0 {
      let held = HeldStorage(sectorCount: Self.sectors)
      self.held = held
      storage = held
    } else {
      held = nil
      storage = try MemoryStorage(
        sectorCount: Self.sectors, isReadOnly: first.selector & 2 != 0, counters: Counters(owner: "disk"))
    }
    var options = VirtioFunction.Options()
    options.offersMSIX = first.selector & 4 == 0
    options.offersEventIndex = first.selector & 8 == 0
    let queues = first.selector & 32 == 0 ? 1 : 2
    device = try VirtioBlock(
      name: "disk", storage: storage, serial: "serial", queueCount: queues, memory: board.bench.memory,
      loop: board.bench.loop, counters: board.bench.counters, options: options)
    board.bench.plug(device)
    device.messages?.connect(messages)
    rings = VirtioRings(board, queues: queues)
    if first.selector & 16 == 0 { rings.start(Operation(0, 0, 0, 0x3000_0200)) }
  }

  func perform(_ operation: Operation) {
    switch operation.code {
    case 0: rings.start(operation)
    case 1, 2: rings.putDescriptor(operation)
    case 3: rings.putIndirect(operation)
    case 4: rings.addIndirect(operation)
    case 5: rings.makeAvailable(operation)
    case 6: rings.setIndex(operation)
    case 7, 8: rings.kick(operation)
    case 9: add(operation)
    case 10:
      let results = [StorageResult.success, .failed(28), .outOfRange, .unsupported]
      held?.release(results[Int(operation.selector & 3)], fill: 0x5A)
    default: rings.driver.enableMessages(device, count: 3)
    }
  }

  /// Makes a request of a header, data and a status available: type and queue from `half`, sector and size from the
  /// word.
  private func add(_ operation: Operation) {
    guard let ring = rings.ring(operation.half & 1) else { return }
    let types: [UInt32] = [0, 1, 4, 8, 11, 13, 2, 0xFFFF_FFFF]
    let type = types[Int(operation.half >> 1 & 7)]
    let head = operation.half >> 4 & 0x0F
    let header = Board.data + UInt64(head) << 8
    board.bench.memory.store(type, at: header)
    board.bench.memory.store(UInt64(operation.wordLow), at: header + 8)
    let data = board.place(operation.selector, operation.wordHigh & 0xFE00)
    // Whole sectors, or some bytes more.
    let length = UInt32(operation.wordHigh & 0x0F) << 9 + UInt32(operation.wordHigh >> 4 & 1) * 17
    ring.add(
      [(header, 16, false), (data, length, type == 0 || type == 8), (header + 32, 1, true)], head: head & 0x07)
  }

  /// Completes the held requests, starts the device anew and reads a sector.
  func checkRecovery() {
    complete()
    board.restore(device)
    device.setMessageControl(0)
    complete()
    rings.driver.start(queues: 1)
    complete()
    check(rings.driver.status == 0x0F, "after a reset, the device does not start")
    let ring = rings.driver.rings[0]
    board.bench.store([UInt8](repeating: 0, count: 16), at: Board.data)
    board.bench.store([0xEE], at: Board.data + 32)
    ring.add([(Board.data, 16, false), (Board.data + 0x1000, 512, true), (Board.data + 32, 1, true)])
    ring.kick()
    complete()
    check(ring.takeUsed()?.length == 513, "after a reset, the device reads no sector")
    check(board.bench.bytes(at: Board.data + 32, count: 1) == [0], "after a reset, a read fails")
  }

  private func complete() {
    board.settle()
    while let held, !held.waiting.isEmpty {
      held.release()
      board.settle()
    }
  }
}

/// The ranges of a virtio function: BAR 0 with its four structures, and the MSI-X table in BAR 1.
let virtioWindows: [Board.Window] = [
  Board.Window(space: .memory, base: 0xE000_0000, size: 0x40),
  Board.Window(space: .memory, base: 0xE000_0000, size: 0x4000),
  Board.Window(space: .memory, base: 0xE000_2000, size: 0x40),
  Board.Window(space: .memory, base: 0xE000_3000, size: 0x40),
  Board.Window(space: .memory, base: 0xE010_0000, size: 0x1000),
]

/// The common configuration (VIRTIO 1.2, 4.1.4.3) and the ISR.
let virtioRegisters: [(window: Int, offset: UInt64, width: Int)] = [
  (0, 0x00, 4), (0, 0x04, 4), (0, 0x08, 4), (0, 0x0C, 4), (0, 0x10, 2), (0, 0x12, 2), (0, 0x14, 1), (0, 0x15, 1),
  (0, 0x16, 2), (0, 0x18, 2), (0, 0x1A, 2), (0, 0x1C, 2), (0, 0x1E, 2), (0, 0x20, 8), (0, 0x28, 8), (0, 0x30, 8),
  (1, 0x1000, 1),
]
