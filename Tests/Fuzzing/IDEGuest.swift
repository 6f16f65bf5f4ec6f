import Backends
import Counters
import DeviceSupport
import Devices

/// A PIIX3 IDE controller with three disks: one in memory, one that is read-only, and one whose requests wait until an
/// operation completes them.
final class IDEGuest: Guest {
  let board: Board
  private let controller: IDEController
  private let held: HeldStorage
  private let lines = (RecordedLine(), RecordedLine())

  private static let table = Board.rings
  private static let sectors: UInt64 = 1024
  private static let commands: [UInt8] = [
    0x20, 0x24, 0x29, 0x30, 0x34, 0x39, 0xC4, 0xC5, 0xC8, 0xCA, 0x25, 0x35, 0xEC, 0xE7, 0xEA, 0xC6, 0xEF, 0x90, 0x91,
    0x40, 0x42, 0x70, 0xE0, 0xE5, 0xF8, 0x27, 0x10, 0x21, 0x31, 0xCE, 0x3D, 0x00,
  ]

  init(_ first: Operation) throws {
    board = try Board(
      windows: [
        Board.Window(space: .port, base: 0x1F0, size: 8), Board.Window(space: .port, base: 0x1F0, size: 8),
        Board.Window(space: .port, base: 0x170, size: 8), Board.Window(space: .port, base: 0x3F6, size: 1),
        Board.Window(space: .port, base: 0x376, size: 1), Board.Window(space: .port, base: 0xC400, size: 16),
      ],
      registers: (0..<8).map { (0, $0, 1) } + [(3, 0, 1), (5, 0, 1), (5, 2, 1), (5, 4, 4), (5, 8, 1), (5, 10, 1)]
        + (1..<8).map { (2, $0, 1) })
    controller = try IDEController(
      name: "ide", memory: board.bench.memory, loop: board.bench.loop, counters: board.bench.counters)
    controller.attachPorts(to: board.bench.bus, lines: lines)
    held = HeldStorage(sectorCount: Self.sectors)
    let counters = Counters(owner: "disk")
    let isSwapped = first.selector & 1 != 0
    let disk = try MemoryStorage(sectorCount: Self.sectors, counters: counters)
    controller.attachDrive(disk, channel: isSwapped ? 1 : 0, drive: 0, model: "disk", serial: "1")
    controller.attachDrive(held, channel: isSwapped ? 0 : 1, drive: 0, model: "held", serial: "2")
    let fixed = try MemoryStorage(sectorCount: 100, isReadOnly: true, counters: counters)
    controller.attachDrive(fixed, channel: 0, drive: 1, model: "fixed", serial: "3")
    board.bench.plug(controller, number: 1)
  }

  func perform(_ operation: Operation) {
    let channel: UInt64 = operation.selector & 0x80 == 0 ? 0 : 1
    switch operation.code {
    case 0, 1: command(operation, channel)
    case 2, 3: putRegion(operation)
    case 4: transfer(operation, channel)
    case 5: board.bench.outb(0xC400 + 8 * channel, operation.selector & 0x0F)
    case 6: readData(operation, channel)
    case 7: writeData(operation, channel)
    case 8, 9:
      let results = [StorageResult.success, .failed(5), .outOfRange, .readOnly]
      held.release(operation.selector & 0x40 == 0 ? .success : results[Int(operation.selector & 3)], fill: 0xA5)
    case 10: board.bench.outb(channel == 0 ? 0x3F6 : 0x376, operation.selector & 0x06)
    default:
      // At the usual place, or before the end of memory.
      let place =
        operation.selector & 1 == 0
        ? UInt32(Self.table) + UInt32(operation.half & 0xFFF)
        : UInt32(Board.memorySize) - UInt32(operation.half & 0xFFC)
      board.bench.outl(0xC404 + 8 * channel, place)
    }
  }

  /// Writes the task file and a command; 48-bit commands twice.
  private func command(_ operation: Operation, _ channel: UInt64) {
    let base: UInt64 = channel == 0 ? 0x1F0 : 0x170
    let code =
      operation.code == 0
      ? Self.commands[Int(operation.selector & 0x1F)] : operation.byte(3)
    let isExtended = [0x24, 0x25, 0x29, 0x34, 0x35, 0x39, 0x42, 0xEA, 0x27, 0xCE, 0x3D].contains(code)
    let bench = board.bench
    bench.outb(base + 6, operation.selector & 0x40 == 0 ? 0xE0 : 0xF0)
    if isExtended {
      bench.outb(base + 2, UInt8(operation.half >> 8))
      bench.outb(base + 3, operation.byte(3) & 1)
    }
    bench.outb(base + 1, operation.byte(2))
    bench.outb(base + 2, UInt8(operation.half & 0xFF))
    for index in 0..<2 as Range<UInt32> { bench.outb(base + 3 + UInt64(index), operation.byte(index)) }
    bench.outb(base + 5, operation.selector & 0x20 == 0 ? 0 : operation.byte(2))
    bench.outb(base + 7, code)
  }

  /// Stores PRD `half & 0xFF`: an address, a count from the word, and the end in bit 31.
  private func putRegion(_ operation: Operation) {
    let place = Self.table + 8 * UInt64(operation.half & 0xFF)
    let address = board.place(operation.selector, operation.half & 0xFF00)
    board.bench.memory.store(UInt32(truncatingIfNeeded: address), at: place)
    board.bench.memory.store(operation.word, at: place + 4)
  }

  /// A DMA command as a driver runs it.
  private func transfer(_ operation: Operation, _ channel: UInt64) {
    let isWrite = operation.selector & 1 != 0
    let master = 0xC400 + 8 * channel
    if operation.selector & 4 == 0 { board.bench.outl(master + 4, UInt32(Self.table)) }
    board.bench.outb(master, isWrite ? 0 : 8)
    board.bench.outb(master + 2, 0x06)
    var command = operation
    command.code = 1
    command.selector &= 0xC0
    command.word = operation.word & 0x0000_FFFF | (isWrite ? 0xCA00_0000 : 0xC800_0000)
    self.command(command, channel)
    board.bench.outb(master, isWrite ? 1 : 9)
    if operation.selector & 2 == 0 { board.settle() }
  }

  private func readData(_ operation: Operation, _ channel: UInt64) {
    for _ in 0..<Int(operation.half % 600) { _ = board.bench.inw(channel == 0 ? 0x1F0 : 0x170) }
  }

  private func writeData(_ operation: Operation, _ channel: UInt64) {
    for index in 0..<operation.half % 600 { board.bench.outw(channel == 0 ? 0x1F0 : 0x170, index) }
  }

  /// Completes the held requests, resets channel 0 and identifies its master.
  func checkRecovery() {
    complete()
    controller.writeConfiguration(0x40, 0x8000_8000, width: 4)
    board.restore(controller)
    complete()
    let bench = board.bench
    bench.outb(0xC400, 0)
    bench.outb(0x3F6, 0x04)
    complete()
    bench.outb(0x3F6, 0x00)
    complete()
    bench.outb(0x1F6, 0xA0)
    check(bench.inb(0x1F7) & 0xC0 == 0x40, "after SRST, the disk is not ready")
    bench.outb(0x1F7, 0xEC)
    complete()
    check(bench.inb(0x1F7) & 0x89 == 0x08, "after SRST, IDENTIFY DEVICE has no data")
    for _ in 0..<256 { _ = bench.inw(0x1F0) }
    check(bench.inb(0x1F7) & 0x88 == 0, "IDENTIFY DEVICE has more than 256 words")
  }

  private func complete() {
    board.settle()
    while !held.waiting.isEmpty {
      held.release()
      board.settle()
    }
  }
}
