import Backends
import DeviceSupport
import Devices

/// A virtio-net between a guest that fills its rings, and a switch with two other NICs.
final class VirtioNetGuest: Guest {
  let board: Board
  private let device: VirtioNet
  private let rings: VirtioRings
  private let network: Network
  private let messages = RecordedMessages()
  private let queues: Int

  init(_ first: Operation) throws {
    board = try Board(windows: virtioWindows, registers: virtioRegisters)
    network = Network(board.bench.loop)
    var options = VirtioFunction.Options()
    options.offersMSIX = first.selector & 4 == 0
    options.offersEventIndex = first.selector & 8 == 0
    let pairs = first.selector & 1 == 0 ? 1 : 2
    queues = 2 * pairs + 1
    device = try VirtioNet(
      name: "nic", macAddress: E1000Packet.mac, mtu: 1400, queuePairs: pairs, backend: network.port,
      offersOffloads: first.selector & 2 == 0, memory: board.bench.memory, loop: board.bench.loop,
      counters: board.bench.counters, options: options)
    board.bench.plug(device)
    device.messages?.connect(messages)
    rings = VirtioRings(board, queues: queues)
    if first.selector & 16 == 0 { rings.start(Operation(0, 0, 0, first.word)) }
  }

  deinit { network.disconnect() }

  func perform(_ operation: Operation) {
    switch operation.code {
    case 0: rings.start(operation)
    case 1: rings.putDescriptor(operation)
    case 2: rings.putIndirect(operation)
    case 3: rings.addIndirect(operation)
    case 4: operation.selector & 0x80 == 0 ? rings.makeAvailable(operation) : rings.setIndex(operation)
    case 5: rings.kick(operation)
    case 6: addReceiveBuffers(operation)
    case 7: transmit(operation)
    case 8: network.send(operation)
    case 9: control(operation)
    case 10: network.setDelivery(operation)
    default:
      if operation.selector & 1 == 0 { rings.driver.enableMessages(device, count: queues + 1) }
      device.setLink(up: operation.selector & 2 == 0)
    }
  }

  /// Adds up to 16 receive buffers of one length, each of one descriptor or of two.
  private func addReceiveBuffers(_ operation: Operation) {
    guard let ring = rings.ring(operation.half & 2) else { return }
    let length = UInt32(operation.wordLow & 0x0FFF)
    for slot in 0..<UInt16(operation.selector & 0x0F) {
      let address = Board.data + UInt64(slot) << 13
      let parts: [SplitRingDriver.Buffer] =
        operation.selector & 0x80 == 0
        ? [(address, length, true)] : [(address, 12, true), (address + 0x1000, length, true)]
      ring.add(parts, head: slot &* UInt16(parts.count))
    }
  }

  /// Sends a frame with a header of offloads (VIRTIO 1.2, 5.1.6), and kicks.
  private func transmit(_ operation: Operation) {
    guard let ring = rings.ring(1) else { return }
    let bytes = FrameBytes.make(operation)
    let isIPv6 = (8...12).contains(operation.selector & 0x0F)
    var header = [UInt8](repeating: 0, count: 12)
    if operation.selector & 0x10 != 0 { header[0] = 1 }
    if operation.selector & 0x20 != 0 { header[1] = isIPv6 ? 4 : 1 }
    let size = operation.wordHigh & 0x7FF
    header[2] = isIPv6 ? 74 : 54
    header[4] = UInt8(size & 0xFF)
    header[5] = UInt8(size >> 8)
    header[6] = isIPv6 ? 54 : 34
    header[8] = 16
    if operation.selector & 0x40 != 0 { header[Int(operation.byte(1)) % 12] = operation.byte(0) }
    let address = Board.data + 0x2_0000
    board.bench.store(header + bytes, at: address)
    let total = UInt32(12 + bytes.count)
    let cut = operation.selector & 0x80 == 0 ? 12 : min(UInt32(operation.byte(0)) + 1, total - 1)
    ring.add([(address, cut, false), (address + UInt64(cut), total - cut, false)], head: operation.half & 6)
    ring.kick()
  }

  /// Sends a command of the control queue: class and command from `selector`, `half & 0x1FF` bytes of data that begin
  /// with the word.
  private func control(_ operation: Operation) {
    guard let ring = rings.ring(UInt16(queues - 1)) else { return }
    let classes: [UInt8] = [0, 1, 2, 4, 5, 0xFF]
    let count = Int(operation.half & 0x1FF)
    let data = (0..<4).map { operation.byte($0) } + [UInt8](repeating: operation.selector, count: count)
    let address = Board.data + 0x7_0000
    let command = [classes[Int(operation.selector & 7) % 6], operation.selector >> 3 & 7] + data.prefix(count)
    board.bench.store(command, at: address)
    let answer: SplitRingDriver.Buffer = (address + 0x8000, operation.half & 0x8000 == 0 ? 1 : 0, true)
    ring.add([(address, UInt32(2 + count), false), answer])
    ring.kick()
  }

  /// Starts the device anew, sends a frame and receives one.
  func checkRecovery() {
    board.restore(device)
    device.setMessageControl(0)
    network.setDelivery(Operation(0))
    device.setLink(up: true)
    rings.driver.start(queues: queues)
    board.settle()
    check(rings.driver.status == 0x0F, "after a reset, the device does not start")
    let before = network.plain.frames
    // To everyone: the guest may have taught the switch any other address.
    transmit(Operation(0, 2, 100, 0))
    check(
      network.plain.frames == before + 1,
      "after a reset, the device sent \(network.plain.frames - before) frames instead of one")
    addReceiveBuffers(Operation(0, 1, 0, 2000))
    rings.driver.rings[0].kick()
    network.send(Operation(0, 2, 100, 0))
    board.settle()
    check(rings.driver.rings[0].usedIndex == 1, "after a reset, the device receives no frame")
  }
}
