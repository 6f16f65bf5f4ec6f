import Backends
import Bus
import DeviceSupport
import Devices

/// An 82540EM between a guest that writes its registers and rings, and a switch with two other NICs.
final class E1000Guest: Guest {
  let board: Board
  private let nic: E1000
  private let network: Network
  /// Plays KVM for the pages of tails.
  private let slots = RegisterPageSlots()

  private static let base: UInt64 = 0xE000_0000
  private static let transmitRing = Board.rings
  private static let receiveRing = Board.rings + 0x1_0000
  private static let registers: [UInt64] = [
    0x0000, 0x0010, 0x0014, 0x0018, 0x0020, 0x0028, 0x0030, 0x0038, 0x00C0, 0x00C4, 0x00C8, 0x00D0, 0x00D8, 0x0100,
    0x0170, 0x0400, 0x0410, 0x1000, 0x2800, 0x2804, 0x2808, 0x2810, 0x2818, 0x2820, 0x2828, 0x282C, 0x2C00, 0x3800,
    0x3804, 0x3808, 0x3810, 0x3818, 0x3820, 0x3828, 0x382C, 0x3830, 0x4000, 0x40C0, 0x5000, 0x5200, 0x5400, 0x5404,
    0x5600, 0x5800, 0x5820,
  ]

  init(_ first: Operation) throws {
    board = try Board(
      windows: [
        Board.Window(space: .memory, base: Self.base, size: 0x6000),
        Board.Window(space: .memory, base: Self.base, size: 0x2_0000),
        Board.Window(space: .port, base: 0xC100, size: 8),
      ], registers: Self.registers.map { (0, $0, 4) } + [(2, 0, 4), (2, 4, 4)])
    network = Network(board.bench.loop)
    let options = E1000.Options(
      interruptModeration: first.selector & 1 == 0, transmitBatch: [64, 1, 7, 4096][Int(first.selector >> 1 & 3)],
      tailPages: first.selector & 8 == 0)
    nic = try E1000(
      name: "e1000", macAddress: E1000Packet.mac, memory: board.bench.memory, backend: network.port,
      loop: board.bench.loop, counters: board.bench.counters, options: options)
    board.bench.plug(nic)
    board.bench.bus.observe(slots)
    board.settle()
  }

  deinit { network.disconnect() }

  private func write(_ offset: UInt64, _ value: UInt32) { board.bench.write32(Self.base + offset, value) }
  private func read(_ offset: UInt64) -> UInt32 { board.bench.read32(Self.base + offset) }

  func perform(_ operation: Operation) {
    switch operation.code {
    case 0: startTransmit(operation)
    case 1: startReceive(operation)
    case 2: putLegacy(operation)
    case 3: putContext(operation)
    case 4: putData(operation)
    case 5:
      let slot = UInt64(operation.half & 0xFF)
      board.bench.memory.store(board.place(operation.selector, operation.wordLow), at: Self.receiveRing + 16 * slot)
    case 6: storeTail(0x3818, operation)
    case 7: storeTail(0x2818, operation)
    case 8: network.send(operation)
    case 9:
      let bytes = FrameBytes.make(operation)
      board.bench.store(bytes, at: Board.data + UInt64(operation.byte(3)) << 10)
    case 10: network.setDelivery(operation)
    case 11: nic.setLink(up: operation.selector & 1 == 0)
    case 12:
      // MDIC: the PHY's address 1, a register, and a write or a read.
      let command: UInt32 = operation.selector & 0x80 == 0 ? 0x0420_0000 : 0x0820_0000
      write(0x0020, command | UInt32(operation.selector & 0x1F) << 16 | UInt32(operation.half))
    default: clockEEPROM(operation)
    }
  }

  private func startTransmit(_ operation: Operation) {
    let length = UInt32(operation.half & 0x1FF) << 4 & ~0x7F
    write(0x3800, base(Self.transmitRing, length, operation))
    write(0x3804, 0)
    write(0x3808, length)
    write(0x3810, 0)
    write(0x3818, 0)
    write(0x0400, operation.word | 2)
  }

  /// The usual place of a ring, or one that ends where memory ends.
  private func base(_ usual: UInt64, _ length: UInt32, _ operation: Operation) -> UInt32 {
    operation.selector & 0x80 == 0 ? UInt32(usual) : UInt32(Board.memorySize) - length
  }

  private func startReceive(_ operation: Operation) {
    let count = UInt32(operation.half & 0x1FF) & ~7
    for slot in 0..<min(UInt64(count), 256) {
      board.bench.memory.store(Board.data + slot << 11, at: Self.receiveRing + 16 * slot)
    }
    write(0x2800, base(Self.receiveRing, count << 4, operation))
    write(0x2804, 0)
    write(0x2808, count << 4)
    write(0x2810, 0)
    write(0x2818, count &- 1)
    write(0x0100, operation.word | 2)
  }

  /// Stores transmit descriptor `half & 0xFF`.
  private func put(_ operation: Operation, _ low: UInt64, _ high: UInt64) {
    let place = Self.transmitRing + 16 * UInt64(operation.half & 0xFF)
    board.bench.memory.store(low, at: place)
    board.bench.memory.store(high, at: place + 8)
  }

  /// Buffers start at the frames that operation 9 stores, or anywhere.
  private func buffer(_ operation: Operation) -> UInt64 {
    operation.half & 0x8000 == 0
      ? Board.data + UInt64(operation.half >> 8) << 10 : board.place(operation.selector, operation.half)
  }

  private func putLegacy(_ operation: Operation) {
    put(
      operation, buffer(operation),
      UInt64(operation.word) & 0xFF00_FFFF | UInt64(operation.selector & 0x7F) << 16
        | UInt64(operation.selector >> 4) << 40)
  }

  /// Offsets of an IPv4 frame with TCP, of which `selector` moves one; command, MSS and payload from the word.
  private func putContext(_ operation: Operation) {
    var offsets: UInt64 = 14 | 24 << 8 | 33 << 16 | 34 << 32 | 50 << 40
    if operation.selector & 0x80 != 0 { offsets = 14 | 24 << 8 | 0 << 16 | 54 << 32 | 70 << 40 }
    if operation.selector & 7 != 0 {
      offsets ^= UInt64(operation.half >> 8) << (8 * UInt64(operation.selector & 7))
    }
    let command = UInt64(operation.byte(0) | 0x20)
    let size = UInt64(operation.byte(1)) << 8
    let header: UInt64 = operation.selector & 0x40 == 0 ? 54 : UInt64(operation.byte(2))
    put(operation, offsets, size | command << 24 | header << 40 | UInt64(operation.wordHigh) << 48)
  }

  private func putData(_ operation: Operation) {
    put(
      operation, buffer(operation),
      UInt64(operation.word) & 0xDF0F_FFFF | 1 << 20 | 0x20 << 24 | UInt64(operation.selector & 3) << 40)
  }

  /// Clocks up to 32 bits of the word into the EEPROM, the highest first, as drivers do by EECD's pins.
  private func clockEEPROM(_ operation: Operation) {
    write(0x0010, 0x42)
    for bit in (0..<UInt32(operation.selector & 0x1F) + 1).reversed() {
      let pins: UInt32 = 0x42 | (operation.word >> bit & 1) << 2
      for clock in [0, 1, 0] as [UInt32] { write(0x0010, pins | clock) }
      _ = read(0x0010)
    }
    if operation.half & 1 == 0 { write(0x0010, 0x40) }
  }

  /// A guest's store of a tail: into the page if it is RAM, and otherwise by an exit.
  private func storeTail(_ offset: UInt64, _ operation: Operation) {
    let value = UInt32(operation.half) & (operation.selector & 1 == 0 ? 0x1FF : 0xFFFF)
    guard let word = slots.word(Self.base + offset), let page = page(of: offset) else { return write(offset, value) }
    if !page.isOpen { page.open() }
    word.pointee = value
  }

  private func page(of offset: UInt64) -> RegisterPage? {
    for case .page(let start, let page) in nic.baseAddresses[0]?.accelerations ?? [] where start == offset & ~0xFFF {
      return page
    }
    return nil
  }

  func checkRecovery() {
    board.restore(nic)
    network.setDelivery(Operation(0))
    nic.setLink(up: true)
    // A reset of the PHY, then of the device.
    write(0x0000, 0x8000_0000)
    write(0x0000, 0x0400_0000)
    board.settle()
    write(0x0000, 0x0000_0040)
    startTransmit(Operation(0, 0, 8, 0x0A))
    // To everyone: the guest may have taught the switch any other address.
    board.bench.store(FrameBytes.make(Operation(0, 2, 100)), at: Board.data)
    put(Operation(0), Board.data, 100 | 0x0B << 24)
    let before = network.plain.frames
    write(0x3818, 1)
    board.settle()
    check(
      network.plain.frames == before + 1,
      "after a reset, the device sent \(network.plain.frames - before) frames instead of one")
    startReceive(Operation(0, 0, 64, 0x0400_801A))
    network.send(Operation(0, 2, 100, 0))
    board.settle()
    check(read(0x2810) != 0, "after a reset, the device receives no frame")
  }
}
