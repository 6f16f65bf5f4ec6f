import Backends
import Devices
import TestSupport
import Testing

@Suite("82540EM descriptors without a buffer, and fields that the device owns (SDM 3.2.5, 3.3.3, 3.3.7)")
struct E1000DescriptorTests {
  let card: E1000Bench
  init() throws {
    card = try E1000Bench()
    card.startTransmit()
  }

  // MARK: Null addresses

  @Test("receive descriptors with a null address are skipped: DD is set, and no data is written")
  func nullReceive() {
    card.startReceive(count: 8)
    for index in [0, 1, 3] {
      card.putReceive(index, 0)
      card.store64(0xAAAA_BB00_CCCC_1234, at: card.receiveRing + 16 * UInt64(index) + 8)
    }
    card.bench.store([UInt8](repeating: 0x5A, count: 2048), at: 0)
    let frames = (0..<2).map { E1000Packet.ethernet(seed: $0) }
    for frame in frames { #expect(card.offer(frame) == .accepted) }
    #expect(card.bench.bytes(at: 0, count: 2048).allSatisfy { $0 == 0x5A })
    for index in [0, 1, 3] {
      #expect(
        card.bench.memory.load(UInt64.self, at: card.receiveRing + 16 * UInt64(index) + 8) == 0xAAAA_BB01_CCCC_1234)
    }
    #expect([card.received(2), card.received(4)].map(\.bytes) == frames)
    #expect(card.read(0x2810) == 5)
  }

  @Test("a packet in several buffers skips null descriptors between them")
  func nullBetween() {
    card.startReceive(count: 8, control: 0x0403_8002)
    card.putReceive(1, 0)
    let frame = E1000Packet.ethernet(count: 500)
    card.offer(frame)
    #expect(card.received(0).status == 0x01)
    #expect(card.received(2).status & 0x03 == 0x03)
    #expect(card.received(0).bytes + card.received(2).bytes == frame)
    #expect(card.read(0x2810) == 3)
  }

  @Test("the device uses up a ring of null descriptors, and the frame waits for a buffer")
  func allNull() {
    card.startReceive(count: 8)
    for index in 0..<8 { card.putReceive(index, 0) }
    #expect(card.offer(E1000Packet.ethernet()) == .noBuffer)
    #expect(card.read(0x2810) == 7)
    #expect((0..<7).allSatisfy { card.received($0).status == 0x01 })
    card.putReceive(7, card.receiveBuffer(7))
    card.write(0x2818, 0)
    card.bench.settle()
    #expect(card.received(7).bytes == E1000Packet.ethernet())
  }

  @Test("if null descriptors leave the ring too small for a frame, it is dropped, and the next one is received")
  func tooManyNulls() {
    card.startReceive(count: 8, control: 0x0403_8002)
    for index in 1..<8 { card.putReceive(index, 0) }
    #expect(card.offer(E1000Packet.ethernet(count: 500)) == .discarded)
    #expect(card.read(0x4010) == 1, "MPC")
    #expect(card.offer(E1000Packet.ethernet()) == .accepted)
  }

  @Test(
    "after 256 null descriptors, the device stops looking for buffers", arguments: [(257, true), (258, false)])
  func farBuffer(place: Int, isFound: Bool) {
    card.startReceive(count: 512, control: 0x0403_8002)
    for index in 1..<512 where index != place { card.putReceive(index, 0) }
    #expect(card.offer(E1000Packet.ethernet(count: 500)) == (isFound ? .accepted : .discarded))
  }

  @Test("a legacy transmit descriptor with a null address transfers no data, and is reported")
  func nullTransmit() {
    let frame = E1000Packet.ethernet(count: 80)
    card.putDescriptor(0, 0, 40 | 0x08 << 24)
    card.putLegacy(1, Array(frame[..<50]), command: 0x00)
    card.putDescriptor(2, 0, 40 | 0x08 << 24)
    card.putLegacy(3, Array(frame[50...]))
    card.putDescriptor(4, 0, 64 | 0x0B << 24)
    card.ring(5)
    #expect(card.network.sent.map(\.bytes) == [frame])
    #expect([0, 2, 3, 4].map(card.transmitStatus) == [1, 1, 1, 1])
    #expect(card.count(.dropsMalformed) == 0)
  }

  // MARK: Fields

  @Test("3.3.3.2: the device owns EC and LC, and clears what the driver left there")
  func status() {
    card.putLegacy(0, E1000Packet.ethernet())
    card.bench.memory.store(UInt8(0x06), at: card.transmitRing + 12)
    card.ring(1)
    #expect(card.transmitStatus(0) == 0x01)
  }

  @Test("3.3.3: a legacy packet's CSS comes from its first descriptor, its CSO from the last")
  func checksumStart() {
    var frame = E1000Packet.ipv4(payload: 100, checksums: false)
    let pseudo = E1000Packet.pseudoHeader(frame, length: 120)
    E1000Packet.put(pseudo, &frame, 50)
    card.putLegacy(0, Array(frame[..<60]), command: 0x00, css: 34, cso: 7)
    card.putLegacy(1, Array(frame[60...]), command: 0x0F, css: 99, cso: 50)
    card.ring(2)
    #expect(card.network.sent.first?.checksum == PartialChecksum(start: 34, offset: 16))
  }

  @Test("3.3.7.1: with TSE, the first descriptor decides if and how the packet is tagged", arguments: [true, false])
  func tagOfFirst(isFirst: Bool) {
    card.write(0x0000, 0x4000_0241)
    let frame = E1000Packet.ipv4(payload: 3000)
    card.putContext(0, command: 0x07, payload: 3000, header: 54, mss: 1000)
    card.putData(1, Array(frame[..<54]), command: isFirst ? 0x44 : 0x04, options: 3, special: 0x0123)
    card.putData(2, Array(frame[54...]), command: isFirst ? 0x0D : 0x4D, options: 3, special: 0x0456)
    card.ring(3)
    let sent = card.network.sent.first?.bytes ?? []
    #expect(Array(sent[12..<16]) == (isFirst ? [0x81, 0x00, 0x01, 0x23] : [0x08, 0x00, 0x45, 0x00]))
  }

  @Test("TCTL.SWXOFF clears itself")
  func softwareXOFF() {
    card.write(0x0400, 0x0040_000A)
    #expect(card.read(0x0400) == 0x0000_000A)
  }

  @Test("a large send in loopback comes back in segments with complete checksums", arguments: [true, false])
  func segmentsInLoopback(isPHY: Bool) {
    if isPHY { card.writePHY(0, 0x4140) }
    card.startReceive(count: 16, control: isPHY ? 0x0400_8002 : 0x0400_8042)
    let frame = E1000Packet.ipv4(payload: 2500)
    card.putContext(0, command: 0x07, payload: 2500, header: 54, mss: 1000)
    card.putData(1, frame, command: 0x0D, options: 3)
    card.ring(2)
    #expect(card.network.sent.isEmpty)
    let segments = (0..<3).map { card.received($0).bytes }
    #expect(segments.map(\.count) == [1054, 1054, 554])
    #expect(segments.flatMap { $0.dropFirst(54) } == Array(frame[54...]))
    #expect(segments.allSatisfy { E1000Packet.transportSum($0) == 0xFFFF && E1000Packet.sum($0[14..<34]) == 0xFFFF })
  }

  // MARK: Bus mastering

  @Test("if bus mastering goes off during a batch, the rest waits until it is on")
  func busMasterOffInBatch() {
    let frames = (0..<3).map { E1000Packet.ethernet(count: 90, seed: $0) }
    for (index, frame) in frames.enumerated() { card.putLegacy(index, frame) }
    card.network.whileSending { [card] in card.nic.writeConfiguration(0x04, 0x0003, width: 2) }
    card.ring(3)
    card.network.whileSending(nil)
    #expect(card.network.sent.map(\.bytes) == [frames[0]])
    card.nic.writeConfiguration(0x04, 0x0007, width: 2)
    card.bench.settle()
    #expect(card.network.sent.map(\.bytes) == frames)
    #expect((0..<3).map(card.transmitStatus) == [1, 1, 1])
  }

  @Test("if bus mastering goes off during a packet, nothing is lost or repeated")
  func busMasterOffInPacket() {
    let frames = (0..<2).map { E1000Packet.ethernet(count: 90, seed: $0) }
    card.putLegacy(0, frames[0])
    card.putLegacy(1, Array(frames[1][..<50]), command: 0x08)
    card.putLegacy(2, Array(frames[1][50...]))
    // The device has taken the second descriptor when the guest turns bus mastering off during the first send.
    card.network.whileSending { [card] in card.nic.writeConfiguration(0x04, 0x0003, width: 2) }
    card.ring(2)
    card.network.whileSending(nil)
    #expect((0..<2).map(card.transmitStatus) == [0, 0], "the device does not write memory")
    card.nic.writeConfiguration(0x04, 0x0007, width: 2)
    card.bench.settle()
    card.ring(3)
    #expect(card.network.sent.map(\.bytes) == frames)
    #expect((0..<3).map(card.transmitStatus) == [1, 1, 1])
    #expect(card.read(0x4080) == 2, "GPTC")
  }
}
