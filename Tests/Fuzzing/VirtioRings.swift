import DeviceSupport

/// The rings of a virtio device, and the operations that change them in valid and in invalid ways.
final class VirtioRings {
  let board: Board
  let driver: VirtioDriver
  private let queues: Int

  static let sizes: [UInt16] = [16, 1, 2, 8, 64, 256]

  init(_ board: Board, queues: Int) {
    self.board = board
    self.queues = queues
    driver = VirtioDriver(board.bench, memory: Board.rings)
  }

  func ring(_ number: UInt16) -> SplitRingDriver? {
    driver.rings.isEmpty ? nil : driver.rings[Int(number) % driver.rings.count]
  }

  /// Starts the device with the features in `word`, of which bit 28 is INDIRECT_DESC and bit 29 EVENT_IDX.
  func start(_ operation: Operation) {
    driver.start(
      UInt64(operation.word), queues: queues, size: Self.sizes[Int(operation.selector) % Self.sizes.count])
  }

  /// Stores a descriptor of queue `half & 3`: slot, flags and next from `half`, the length from the word.
  func putDescriptor(_ operation: Operation) {
    guard let ring = ring(operation.half & 3) else { return }
    let slot = operation.half >> 2 & 0x1F
    let flags = operation.half >> 7 & 7
    ring.setDescriptor(
      slot, board.place(operation.selector, operation.wordHigh), length(operation.wordLow), flags: flags,
      next: next(slot, operation))
  }

  /// The slot behind, or another one: in the table, or beyond its end by a little or a lot.
  private func next(_ slot: UInt16, _ operation: Operation) -> UInt16 {
    let other = operation.half >> 10 & 0x1F
    if operation.half & 0x8000 == 0 { return slot + 1 }
    return other < 16 ? other : other == 31 ? 0xFFFF : (other - 15) << 6
  }

  /// The same in an indirect table: table `half & 3` of 32 entries.
  func putIndirect(_ operation: Operation) {
    let slot = operation.half >> 2 & 0x1F
    SplitRingDriver.store(
      board.bench, Self.table(operation.half & 3) + 16 * UInt64(slot),
      board.place(operation.selector, operation.wordHigh), length(operation.wordLow), operation.half >> 7 & 7,
      next(slot, operation))
  }

  /// Table 3 ends where memory ends.
  static func table(_ number: UInt16) -> UInt64 {
    number == 3 ? UInt64(Board.memorySize) - 16 * 32 : 0x7_0000 + 0x1000 * UInt64(number)
  }

  /// Makes a descriptor that refers to an indirect table available.
  func addIndirect(_ operation: Operation) {
    guard let ring = ring(operation.half & 3) else { return }
    let head = operation.half >> 2 & 0x0F
    ring.setDescriptor(
      head, Self.table(operation.half >> 6 & 3), UInt32(operation.wordLow & 0x3FF), flags: 4 | operation.wordHigh & 7)
    ring.makeAvailable(head)
  }

  private func length(_ value: UInt16) -> UInt32 {
    // Most lengths fit their buffer.
    value & 0x8000 == 0 ? UInt32(value & 0x1FFF) : value == 0xFFFF ? 0xFFFF_FFFF : UInt32(value & 0x7FFF) << 3
  }

  func makeAvailable(_ operation: Operation) {
    guard let ring = ring(operation.half & 3) else { return }
    for step in 0...UInt16(operation.selector & 0x1F) { ring.makeAvailable((operation.half >> 2 &+ step) & 0x1FF) }
  }

  /// Writes an index or a flag of the available ring.
  func setIndex(_ operation: Operation) {
    guard let ring = ring(operation.half & 3) else { return }
    switch operation.selector % 4 {
    case 0: ring.setAvailableIndex(operation.wordLow)
    case 1: ring.setAvailableFlags(operation.wordLow)
    case 2: ring.setUsedEvent(ring.usedIndex &+ operation.wordLow)
    default: ring.makeAvailable(operation.wordLow)
    }
  }

  func kick(_ operation: Operation) {
    guard let ring = ring(operation.half & 3) else { return }
    if operation.selector & 1 == 0 {
      ring.kick()
    } else {
      board.bench.bus.write(
        .memory, 0xE000_3000 + 4 * UInt64(operation.half & 0x3F), width: 2, UInt64(operation.wordLow))
    }
  }
}
