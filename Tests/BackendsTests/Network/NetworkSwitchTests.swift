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

  @Test("an unknown destination is flooded, a learned one is not, and nothing returns to its port")
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

  @Test("an address that a live port taught is not another's by sending from it; a port silent for a minute loses it")
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
    #expect(counts == [2, 2, 1], "to port 0, who had it first")
    clock.advance(by: 61_000_000_000)
    send(frame(from: 10, to: address(11)), on: 2)
    send(frame(from: 11, to: address(10)), on: 1)
    #expect(counts == [2, 3, 2], "to port 2")
  }

  @Test("a port at its quota takes nobody's address away")
  func quotaOfAnother() {
    send(frame(from: 7, to: address(1)), on: 1)
    ports[1].connect(nil)
    for number in 0..<64 { send(frame(from: 1000 + number, to: address(1)), on: 0) }
    let before = counts
    send(frame(from: 7, to: address(1)), on: 0)
    send(frame(from: 8, to: address(7)), on: 2)
    #expect(counts[0] == before[0], "not flooded: it is still port 1's")
  }

  @Test(
    "a large frame's description is what its headers say, whatever its sender said",
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

  @Test("a large frame that is no TCP, or would be more than 2048 segments, goes to nobody")
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

  @Test("group addresses go to all, and are not learned as sources")
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

  @Test("a port teaches 64 addresses at most; what is beyond is flooded, and others still learn")
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

  @Test("a port without buffers has its frames held in order, and stalls nobody")
  func held() {
    receivers[1].buffers = 1
    for count in 60..<70 { send(frame(from: 10, to: address(99), count: count), on: 0) }
    #expect(counts == [0, 1, 10])
    #expect(ports[1].counters[.dropsPortQueueFull] == 0)
    receivers[1].buffers = 3
    ports[1].receiverReady()
    #expect(receivers[1].frames.map(\.count) == [60, 61, 62, 63])
    #expect(receivers[1].bursts == 3, "the first frame, the one that was refused, and those that waited")
    // A new frame waits behind those held, even when there is a buffer.
    receivers[1].buffers = 1
    send(frame(from: 10, to: address(99), count: 70), on: 0)
    #expect(receivers[1].frames.count == 4)
    receivers[1].buffers = .max
    ports[1].receiverReady()
    #expect(receivers[1].frames.map(\.count) == Array(60...70))
    let bursts = receivers[1].bursts
    ports[1].receiverReady()
    #expect(receivers[1].bursts == bursts, "nothing came, nothing to interrupt for")
  }

  @Test("held frames are bounded by number and by bytes; the rest is dropped and counted")
  func bounds() {
    receivers[1].buffers = 0
    for _ in 0..<300 { send(frame(from: 10, to: address(99)), on: 0) }
    #expect(ports[1].counters[.dropsPortQueueFull] == 44)
    receivers[1].buffers = .max
    ports[1].receiverReady()
    #expect(receivers[1].frames.count == 256)

    receivers[1].buffers = 0
    for _ in 0..<70 { send(frame(from: 10, to: address(99), count: 65_536), on: 0) }
    #expect(ports[1].counters[.dropsPortQueueFull] == 44 + 6, "4 MiB are 64 of them")
    receivers[1].buffers = .max
    ports[1].receiverReady()
    #expect(receivers[1].frames.count == 256 + 64)
    #expect(receivers[2].frames.count == 370)
  }

  @Test("a frame is adapted for each receiver, and held as that one can take it")
  func adapts() {
    let tcp = TCPFrame(payload: 3000)
    receivers[1].acceptedOffloads = [.checksum, .tso4]
    receivers[2].acceptedOffloads = []
    send(tcp.bytes, on: 0, checksum: .init(start: 34, offset: 16), segmentation: tcp.segmentation)
    #expect(receivers[1].frames == [tcp.bytes])
    #expect(receivers[1].descriptions[0].segmentation == tcp.segmentation)
    #expect(receivers[2].frames.map(\.count) == [1502, 1502, 158])
    #expect(ports[2].counters[.segmentsCut] == 3)

    // Held whole, then the receiver takes less (a reset): cut on delivery, with an interrupt.
    receivers[1].buffers = 0
    send(tcp.bytes, on: 0, checksum: .init(start: 34, offset: 16), segmentation: tcp.segmentation)
    receivers[1].acceptedOffloads = []
    receivers[1].buffers = .max
    let bursts = receivers[1].bursts
    ports[1].receiverReady()
    #expect(receivers[1].frames.dropFirst().map(\.count) == [1502, 1502, 158])
    #expect(receivers[1].bursts == bursts + 1)
  }

  @Test("a port taken away neither gets nor sends, and what it taught is forgotten")
  func removal() {
    send(frame(from: 11, to: address(1)), on: 1)
    networkSwitch.remove(ports[1])
    let before = counts
    send(frame(from: 10, to: address(11)), on: 0)
    #expect(counts == [before[0], before[1], before[2] + 1], "flooded, as an unknown one")
    send(frame(from: 11, to: address(10)), on: 1)
    #expect(counts == [before[0], before[1], before[2] + 1])
  }

  @Test("unplugging a receiver lets its held frames go")
  func unplug() {
    receivers[1].buffers = 0
    send(frame(from: 10, to: address(99)), on: 0)
    ports[1].connect(nil)
    receivers[1].buffers = .max
    ports[1].connect(receivers[1])
    ports[1].receiverReady()
    #expect(receivers[1].frames.isEmpty)
  }

  @Test("a receiver that refuses a burst's first frame settles all the same: it has to tell that its buffers ran out")
  func refusedBurst() {
    receivers[1].buffers = 0
    send(frame(from: 10, to: address(11)), on: 0)
    #expect(receivers[1].bursts == 1)
    #expect(receivers[1].frames.isEmpty)
    // What comes while a frame is held is not offered.
    send(frame(from: 10, to: address(11)), on: 0)
    #expect(receivers[1].bursts == 1)
    receivers[1].buffers = .max
    ports[1].receiverReady()
    #expect(receivers[1].frames.count == 2)
    #expect(receivers[1].bursts == 2)
  }
}
