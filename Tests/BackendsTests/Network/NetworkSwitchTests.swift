import Backends
import Counters
import EventLoop
import GuestMemory
import Testing

@Suite("The switch")
struct NetworkSwitchTests {
  let loop: EventLoop
  let networkSwitch: NetworkSwitch
  let ports: [SwitchPort]
  let receivers: [TestReceiver]

  init() throws {
    loop = try EventLoop(name: "test")
    let made = NetworkSwitch(loop: loop)
    networkSwitch = made
    ports = (0..<3).map { made.makePort(name: "port\($0)") }
    receivers = (0..<3).map { _ in TestReceiver() }
    for (port, receiver) in zip(ports, receivers) { port.connect(receiver) }
  }

  private func address(_ number: Int) -> [UInt8] { [2, 0, 0, 0, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)] }

  private func frame(from source: Int, to destination: [UInt8], count: Int = 60) -> [UInt8] {
    let head = destination + address(source) + [0x08, 0x00]
    return head + (14..<max(count, 14)).map { UInt8(truncatingIfNeeded: $0) }
  }

  private func send(_ bytes: [UInt8], on port: Int, checksum: PartialChecksum? = nil, segmentation: Segmentation? = nil)
  {
    let memory = PiecedMemory(bytes, cuts: [7, 14])
    ports[port].send(Frame(pieces: memory.list, checksum: checksum, segmentation: segmentation))
    ports[port].sentBurst()
  }

  private var counts: [Int] { receivers.map(\.frames.count) }

  @Test("frames to an unknown destination are flooded, to a learned one not, and none returns to its port")
  func learning() {
    send(frame(from: 10, to: address(11)), on: 0)
    #expect(counts == [0, 1, 1])
    send(frame(from: 11, to: address(10)), on: 1)
    #expect(counts == [1, 1, 1])
    send(frame(from: 10, to: address(11)), on: 0)
    #expect(counts == [1, 2, 1])
    send(frame(from: 12, to: address(10)), on: 0)
    #expect(counts == [1, 2, 1], "to its own port: filtered")
    // The address moves once its port is unplugged.
    ports[0].connect(nil)
    send(frame(from: 10, to: address(11)), on: 2)
    send(frame(from: 11, to: address(10)), on: 1)
    #expect(counts == [1, 3, 2])
    #expect(receivers[1].bursts == 3)
  }

  @Test("a port cannot take a live port's address by sending from it; a port silent for a minute loses its address")
  func takenAddress() throws {
    let clock = VirtualClock()
    let loop = try EventLoop(name: "test", clock: clock)
    let networkSwitch = NetworkSwitch(loop: loop)
    let ports = (0..<3).map { networkSwitch.makePort(name: "port\($0)") }
    let receivers = (0..<3).map { _ in TestReceiver() }
    for (port, receiver) in zip(ports, receivers) { port.connect(receiver) }
    func send(_ bytes: [UInt8], on port: Int) {
      let memory = PiecedMemory(bytes)
      ports[port].send(Frame(pieces: memory.list))
      ports[port].sentBurst()
    }
    var counts: [Int] { receivers.map(\.frames.count) }
    clock.advance(by: 1_000_000_000)
    send(frame(from: 10, to: address(11)), on: 0)
    send(frame(from: 10, to: address(11)), on: 2)
    send(frame(from: 11, to: address(10)), on: 1)
    #expect(counts == [2, 2, 1], "to port 0, which had it first")
    clock.advance(by: 61_000_000_000)
    send(frame(from: 10, to: address(11)), on: 2)
    send(frame(from: 11, to: address(10)), on: 1)
    #expect(counts == [2, 3, 2], "to port 2")
  }

  @Test("a port at its quota takes no address from another port")
  func quotaOfAnother() {
    send(frame(from: 7, to: address(1)), on: 1)
    ports[1].connect(nil)
    for number in 0..<64 { send(frame(from: 1000 + number, to: address(1)), on: 0) }
    let before = counts
    send(frame(from: 7, to: address(1)), on: 0)
    send(frame(from: 8, to: address(7)), on: 2)
    #expect(counts[0] == before[0], "not flooded: the address is still port 1's")
  }

  @Test(
    "a large frame's description comes from its headers, not from its sender",
    arguments: [(0, 0), (20, 50), (54, 65_535)])
  func description(start: UInt16, headers: UInt16) {
    for receiver in receivers { receiver.acceptedOffloads = [.checksum, .tso4, .tso6] }
    let tcp = TCPFrame(payload: 4000)
    send(
      tcp.bytes, on: 0, checksum: PartialChecksum(start: start, offset: 0),
      segmentation: Segmentation(kind: .tcp4, segmentSize: 1000, headerLength: headers))
    let description = receivers[1].descriptions.first
    #expect(description?.checksum == PartialChecksum(start: 34, offset: 16))
    #expect(description?.segmentation == Segmentation(kind: .tcp4, segmentSize: 1000, headerLength: 54))
  }

  @Test("a large frame that is not TCP, or that needs more than 2048 segments, is dropped")
  func badDescription() {
    for receiver in receivers { receiver.acceptedOffloads = [.checksum, .tso4, .tso6] }
    let tcp = TCPFrame(payload: 4000)
    let checksum = PartialChecksum(start: 34, offset: 16)
    func sendLarge(_ bytes: [UInt8], _ kind: Segmentation.Kind, size: UInt16) {
      send(
        bytes, on: 0, checksum: checksum, segmentation: Segmentation(kind: kind, segmentSize: size, headerLength: 54))
    }
    sendLarge(tcp.bytes, .tcp6, size: 1000)
    sendLarge(tcp.bytes, .tcp4, size: 1)
    var udp = tcp.bytes
    udp[23] = 17
    sendLarge(udp, .tcp4, size: 1000)
    #expect(counts == [0, 0, 0])
    #expect(ports[0].counters[.dropsMalformed] == 3)
  }

  @Test("frames to group addresses go to all ports, and group addresses are not learned as sources")
  func groups() {
    send(frame(from: 10, to: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), on: 0)
    send(frame(from: 10, to: [0x33, 0x33, 0, 0, 0, 1]), on: 0)
    #expect(counts == [0, 2, 2])
    let group: [UInt8] = [0x03, 0, 0, 0, 0, 7]
    var bytes = frame(from: 0, to: address(99))
    bytes.replaceSubrange(6..<12, with: group)
    send(bytes, on: 1)
    send(frame(from: 10, to: group), on: 0)
    #expect(counts == [1, 3, 4], "still to all")
  }

  @Test("the switch learns at most 64 addresses per port; frames to more are flooded, and other ports still learn")
  func quota() {
    for number in 0..<100 { send(frame(from: 1000 + number, to: address(1)), on: 0) }
    let before = counts
    send(frame(from: 5, to: address(1063)), on: 1)
    #expect(counts == [before[0] + 1, before[1], before[2]], "the 64th is known")
    send(frame(from: 5, to: address(1064)), on: 1)
    #expect(counts == [before[0] + 2, before[1], before[2] + 1], "the 65th is not")
    send(frame(from: 6, to: address(5)), on: 2)
    #expect(counts[1] == before[1] + 1)
    #expect(counts[0] == before[0] + 2)
  }

  @Test("frames without a whole header or longer than 64 KiB are dropped and counted")
  func sizes() {
    send(Array(frame(from: 1, to: address(2)).prefix(13)), on: 0)
    send(frame(from: 1, to: address(2), count: 65_554), on: 0)
    #expect(counts == [0, 0, 0])
    #expect(ports[0].counters[.dropsMalformed] == 2)
    send(frame(from: 1, to: address(2), count: 14), on: 0)
    send(frame(from: 1, to: address(2), count: 65_553), on: 0)
    #expect(counts == [0, 2, 2])
  }

  @Test("frames for a port without buffers are held in order, and other ports do not stall")
  func held() {
    receivers[1].buffers = 1
    for count in 60..<70 { send(frame(from: 10, to: address(99), count: count), on: 0) }
    #expect(counts == [0, 1, 10])
    #expect(ports[1].counters[.dropsPortQueueFull] == 0)
    receivers[1].buffers = 3
    ports[1].receiverReady()
    #expect(receivers[1].frames.map(\.count) == [60, 61, 62, 63])
    #expect(receivers[1].bursts == 3, "the first frame, the refused one, and those that waited")
    // A new frame queues behind the held ones, even when there is a buffer.
    receivers[1].buffers = 1
    send(frame(from: 10, to: address(99), count: 70), on: 0)
    #expect(receivers[1].frames.count == 4)
    receivers[1].buffers = .max
    ports[1].receiverReady()
    #expect(receivers[1].frames.map(\.count) == Array(60...70))
    let bursts = receivers[1].bursts
    ports[1].receiverReady()
    #expect(receivers[1].bursts == bursts, "no frame arrived, so no interrupt")
  }

  @Test("held frames are bounded by number and by bytes; the rest is dropped and counted")
  func bounds() {
    receivers[1].buffers = 0
    for _ in 0..<1_044 { send(frame(from: 10, to: address(99)), on: 0) }
    #expect(ports[1].counters[.dropsPortQueueFull] == 44)
    receivers[1].buffers = .max
    ports[1].receiverReady()
    #expect(receivers[1].frames.count == 1_000)

    receivers[1].buffers = 0
    for _ in 0..<70 { send(frame(from: 10, to: address(99), count: 65_536), on: 0) }
    #expect(ports[1].counters[.dropsPortQueueFull] == 44 + 6, "4 MiB are 64 of them")
    receivers[1].buffers = .max
    ports[1].receiverReady()
    #expect(receivers[1].frames.count == 1_000 + 64)
    #expect(receivers[2].frames.count == 1_044 + 70)
  }

  @Test("a frame is adapted for each receiver, and again when a held frame is delivered")
  func adapts() {
    let tcp = TCPFrame(payload: 3000)
    receivers[1].acceptedOffloads = [.checksum, .tso4]
    receivers[2].acceptedOffloads = []
    send(tcp.bytes, on: 0, checksum: .init(start: 34, offset: 16), segmentation: tcp.segmentation)
    #expect(receivers[1].frames == [tcp.bytes])
    #expect(receivers[1].descriptions[0].segmentation == tcp.segmentation)
    #expect(receivers[2].frames.map(\.count) == [1502, 1502, 158])
    #expect(ports[2].counters[.segmentsCut] == 3)

    // Held whole; then the receiver accepts less (a reset), so delivery splits it, with an interrupt.
    receivers[1].buffers = 0
    send(tcp.bytes, on: 0, checksum: .init(start: 34, offset: 16), segmentation: tcp.segmentation)
    receivers[1].acceptedOffloads = []
    receivers[1].buffers = .max
    let bursts = receivers[1].bursts
    ports[1].receiverReady()
    #expect(receivers[1].frames.dropFirst().map(\.count) == [1502, 1502, 158])
    #expect(receivers[1].bursts == bursts + 1)
  }

  @Test("a removed port neither receives nor sends, and the addresses learned from it are forgotten")
  func removal() {
    send(frame(from: 11, to: address(1)), on: 1)
    networkSwitch.remove(ports[1])
    let before = counts
    send(frame(from: 10, to: address(11)), on: 0)
    #expect(counts == [before[0], before[1], before[2] + 1], "flooded, as to an unknown address")
    send(frame(from: 11, to: address(10)), on: 1)
    #expect(counts == [before[0], before[1], before[2] + 1])
  }

  @Test("unplugging a receiver frees its held frames")
  func unplug() {
    receivers[1].buffers = 0
    send(frame(from: 10, to: address(99)), on: 0)
    ports[1].connect(nil)
    receivers[1].buffers = .max
    ports[1].connect(receivers[1])
    ports[1].receiverReady()
    #expect(receivers[1].frames.isEmpty)
  }

  @Test("a burst ends even if its first frame is refused, so that the receiver can report that it has no buffers")
  func refusedBurst() {
    receivers[1].buffers = 0
    send(frame(from: 10, to: address(11)), on: 0)
    #expect(receivers[1].bursts == 1)
    #expect(receivers[1].frames.isEmpty)
    // A frame that arrives while another is held is not offered.
    send(frame(from: 10, to: address(11)), on: 0)
    #expect(receivers[1].bursts == 1)
    receivers[1].buffers = .max
    ports[1].receiverReady()
    #expect(receivers[1].frames.count == 2)
    #expect(receivers[1].bursts == 2)
  }
}
