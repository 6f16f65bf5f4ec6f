import Backends
import Devices
import TestSupport
import Testing

@Suite("82540EM context and data descriptors (SDM 3.3.6, 3.3.7, 3.5)")
struct E1000OffloadTests {
  let card: E1000Bench
  init() throws {
    card = try E1000Bench()
    card.startTransmit()
  }

  @Test("a context descriptor sends nothing, and is reported")
  func contextAlone() {
    card.putContext(0, command: 0x0B)
    card.ring(1)
    #expect(card.network.sent.isEmpty)
    #expect(card.transmitStatus(0) == 1)
    #expect(card.read(0x3810) == 1)
  }

  @Test("a data descriptor without POPTS sends the packet as it is")
  func plainData() {
    let frame = E1000Packet.ethernet()
    card.putData(0, frame)
    card.ring(1)
    #expect(card.network.sent.map(\.bytes) == [frame])
  }

  @Test("TXSM leaves the TCP checksum to the backend, by TUCSS and TUCSO, without copying")
  func partialChecksum() {
    let frame = E1000Packet.ipv4(payload: 500)
    card.putContext(0, command: 0x03)
    card.putData(1, frame, options: 2)
    card.ring(2)
    #expect(card.network.sent.first?.checksum == PartialChecksum(start: 34, offset: 16))
    #expect(card.network.sent.first?.bytes == frame)
    #expect(card.count(.bytesCopied) == 0)
  }

  @Test("the context holds for later packets")
  func contextStays() {
    card.putContext(0, command: 0x03)
    for index in 1..<4 { card.putData(index, E1000Packet.ipv4(payload: 10 * index), options: 2) }
    card.ring(4)
    #expect(card.network.sent.map(\.checksum) == Array(repeating: PartialChecksum(start: 34, offset: 16), count: 3))
  }

  @Test("only the POPTS of a packet's first descriptor apply")
  func optionsOfFirst() {
    let frame = E1000Packet.ipv4(payload: 500)
    card.putContext(0, command: 0x03)
    card.putData(1, Array(frame[0..<60]), command: 0, options: 2)
    card.putData(2, Array(frame[60...]), options: 0)
    card.putData(3, Array(frame[0..<60]), command: 0, options: 0)
    card.putData(4, Array(frame[60...]), options: 2)
    card.ring(5)
    #expect(card.network.sent.map { $0.checksum != nil } == [true, false])
  }

  @Test("IXSM completes the IP header checksum in a copy of the header")
  func ipChecksum() throws {
    let frame = E1000Packet.ipv4(payload: 50, checksums: false)
    card.putContext(0, command: 0x03)
    card.putData(1, frame, options: 1)
    card.ring(2)
    let sent = try #require(card.network.sent.first)
    #expect(E1000Packet.sum(sent.bytes[14..<34]) == 0xFFFF)
    #expect(Array(sent.bytes[34...]) == Array(frame[34...]))
    #expect(card.bench.bytes(at: card.buffer(1), count: frame.count) == frame)
    #expect(card.count(.bytesCopied) == 26)
  }

  @Test("a backend without checksum offload gets complete packets", arguments: [false, true], [0, 1, 700, 1401])
  func completes(_ isUDP: Bool, _ payload: Int) throws {
    let card = try E1000Bench(offloads: [])
    card.startTransmit()
    var frame = E1000Packet.ipv4(isUDP: isUDP, payload: payload, checksums: false)
    E1000Packet.put(E1000Packet.pseudoHeader(frame, length: frame.count - 34), &frame, isUDP ? 40 : 50)
    card.putContext(0, tucso: isUDP ? 40 : 50, command: isUDP ? 0x02 : 0x03)
    // Pieces of odd length, so that the sum has to swap its bytes.
    card.putData(1, Array(frame[0..<41]), command: 0, options: 3)
    card.putData(2, Array(frame[41...]), options: 3)
    card.write(0x0400, 0x02)
    card.ring(3)
    let sent = try #require(card.network.sent.first)
    #expect(sent.checksum == nil)
    #expect(sent.bytes.count == frame.count)
    #expect(E1000Packet.sum(sent.bytes[14..<34]) == 0xFFFF)
    #expect(E1000Packet.transportSum(sent.bytes) == 0xFFFF)
  }

  @Test("TUCSE before the packet's end limits the sum, which the device then computes itself")
  func limitedSum() throws {
    let frame = E1000Packet.ethernet(count: 100)
    card.putContext(0, tucss: 20, tucso: 30, tucse: 59, command: 0x01)
    card.putData(1, frame, options: 2)
    card.ring(2)
    let sent = try #require(card.network.sent.first)
    #expect(sent.checksum == nil)
    #expect(UInt16(sent.bytes[30]) << 8 | UInt16(sent.bytes[31]) == ~E1000Packet.sum(frame[20...59]))
  }

  @Test("a UDP checksum of 0 is sent as 0xFFFF (RFC 768)")
  func udpZero() throws {
    let card = try E1000Bench(offloads: [])
    card.startTransmit()
    var frame = [UInt8](repeating: 0, count: 60)
    frame[34] = 0xFF
    frame[35] = 0xFF
    card.putContext(0, tucso: 40, command: 0x02)
    card.putData(1, frame, options: 2)
    card.ring(2)
    let sent = try #require(card.network.sent.first)
    #expect(sent.bytes[40] == 0xFF && sent.bytes[41] == 0xFF)
  }

  @Test("POPTS without any context inserts nothing and is counted")
  func noContext() {
    let frame = E1000Packet.ipv4(payload: 5)
    card.putData(0, frame, options: 3)
    card.ring(1)
    #expect(card.network.sent.first?.checksum == nil)
    #expect(card.count(.badDescriptor) == 1)
  }

  // MARK: Segmentation (SDM 3.5)

  /// A TCP packet as Linux leaves it: total length and IP checksum are 0, and the TCP checksum excludes the length.
  static func large(payload: Int) -> [UInt8] {
    var frame = E1000Packet.ipv4(payload: payload > 1000 ? 1000 : payload, checksums: false)
    while frame.count < 54 + payload { frame.append(UInt8(truncatingIfNeeded: frame.count &* 3)) }
    E1000Packet.put(0, &frame, 16)
    E1000Packet.put(E1000Packet.pseudoHeader(frame, length: 0), &frame, 50)
    return frame
  }

  @Test("a large send leaves as one frame with corrected headers; only the headers are copied")
  func segmentation() throws {
    let payload = 40_000
    let frame = Self.large(payload: payload)
    card.putContext(0, command: 0x07, payload: UInt64(payload), header: 54, mss: 1460)
    card.putData(1, Array(frame[0..<54]), command: 0x04, options: 3)
    for index in 0..<3 {
      let piece = Array(frame[(54 + index * 16_000)..<min(frame.count, 54 + (index + 1) * 16_000)])
      card.putData(2 + index, piece, command: index == 2 ? 0x0D : 0x04, options: 3)
    }
    card.ring(5)
    let sent = try #require(card.network.sent.first)
    #expect(sent.segmentation == Segmentation(kind: .tcp4, segmentSize: 1460, headerLength: 54))
    #expect(sent.checksum == PartialChecksum(start: 34, offset: 16))
    #expect(sent.bytes.count == frame.count)
    #expect(Array(sent.bytes[16..<18]) == [UInt8((payload + 40) >> 8), UInt8((payload + 40) & 0xFF)])
    #expect(Array(sent.bytes[18..<20]) == [0x12, 0x34])
    #expect(E1000Packet.sum(sent.bytes[14..<34]) == 0xFFFF)
    let pseudo = UInt16(sent.bytes[50]) << 8 | UInt16(sent.bytes[51])
    #expect(pseudo == E1000Packet.pseudoHeader(frame, length: payload + 20))
    #expect(Array(sent.bytes[54...]) == Array(frame[54...]))
    #expect(card.count(.bytesCopied) == 54)
    #expect(card.read(0x40F8) == 1)
    #expect(card.read(0x40FC) == 0)
    #expect(card.read(0x4080) == 28)
    #expect(card.read(0x4090) == UInt32(payload + 28 * 58))
    #expect(card.count(.framesSent) == 1)
  }

  @Test(
    "the largest send, 65535 bytes of IP, is one frame; one byte more fails", arguments: [(65_495, 1), (65_496, 0)])
  func largest(_ payload: Int, _ sent: Int) {
    let frame = Self.large(payload: payload)
    card.putContext(0, command: 0x07, payload: UInt64(payload), header: 54, mss: 1448)
    var index = 1
    for start in stride(from: 0, to: frame.count, by: 16_000) {
      let isLast = start + 16_000 >= frame.count
      card.putData(
        index, Array(frame[start..<min(frame.count, start + 16_000)]), command: isLast ? 0x0D : 4, options: 3)
      index += 1
    }
    card.ring(UInt32(index))
    #expect(card.network.sent.count == sent)
    #expect(card.read(0x40FC) == UInt32(1 - sent))
  }

  @Test("IPv6 gets a payload length and no IP checksum")
  func segmentationIPv6() throws {
    var frame = E1000Packet.ethernet(type: 0x86DD, count: 14) + [0x60, 0, 0, 0, 0, 0, 6, 64]
    frame += [UInt8](repeating: 0x11, count: 32) + [0, 1, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 7, 0, 0]
    frame += [UInt8](repeating: 0xAB, count: 5000)
    card.putContext(0, ipcso: 0, ipcse: 0, tucss: 54, tucso: 70, command: 0x05, payload: 5000, header: 74, mss: 1440)
    card.putData(1, frame, command: 0x0D, options: 2)
    card.ring(2)
    let sent = try #require(card.network.sent.first)
    #expect(sent.segmentation == Segmentation(kind: .tcp6, segmentSize: 1440, headerLength: 74))
    #expect(sent.checksum == PartialChecksum(start: 54, offset: 16))
    #expect(Array(sent.bytes[18..<20]) == [UInt8(5020 >> 8), UInt8(5020 & 0xFF)])
    #expect(UInt16(sent.bytes[70]) << 8 | UInt16(sent.bytes[71]) == 7 + 5020)
  }

  @Test("a payload of one segment is not sent as a large frame", arguments: [true, false])
  func oneSegment(_ leavesChecksum: Bool) throws {
    let card = try E1000Bench(offloads: leavesChecksum ? [.checksum] : [])
    card.startTransmit()
    card.putContext(0, command: 0x07, payload: 1001, header: 54, mss: 1460)
    card.putData(1, Self.large(payload: 1001), command: 0x0D, options: 3)
    card.ring(2)
    let sent = try #require(card.network.sent.first)
    #expect(sent.segmentation == nil)
    #expect((sent.checksum != nil) == leavesChecksum)
    #expect(E1000Packet.sum(sent.bytes[14..<34]) == 0xFFFF)
    if !leavesChecksum { #expect(E1000Packet.transportSum(sent.bytes) == 0xFFFF) }
  }

  @Test("a VLAN tag shifts the header length and checksum of a large frame")
  func taggedSegmentation() throws {
    card.write(0x0000, 0x4000_0241)
    card.putContext(0, command: 0x07, payload: 5000, header: 54, mss: 1460)
    card.putData(1, Self.large(payload: 5000), command: 0x4D, options: 3, special: 0x0042)
    card.ring(2)
    let sent = try #require(card.network.sent.first)
    #expect(sent.segmentation?.headerLength == 58)
    #expect(sent.checksum == PartialChecksum(start: 38, offset: 16))
    #expect(Array(sent.bytes[12..<18]) == [0x81, 0x00, 0x00, 0x42, 0x08, 0x00])
    #expect(E1000Packet.sum(sent.bytes[18..<38]) == 0xFFFF)
  }

  @Test("a backend without segmentation still gets a marked large frame, which the switch segments")
  func markedAnyway() throws {
    let card = try E1000Bench(offloads: [])
    card.startTransmit()
    card.putContext(0, command: 0x07, payload: 5000, header: 54, mss: 1000)
    card.putData(1, Self.large(payload: 5000), command: 0x0D, options: 3)
    card.ring(2)
    #expect(card.network.sent.first?.segmentation?.segmentSize == 1000)
    #expect(card.network.sent.first?.checksum != nil)
  }

  @Test("segmentation and checksum contexts are kept apart (SDM 3.5.6)")
  func twoContexts() {
    card.putContext(0, command: 0x07, payload: 5000, header: 54, mss: 1460)
    card.putContext(1, tucss: 14, tucso: 20, command: 0x01)
    card.putData(2, Self.large(payload: 5000), command: 0x0D, options: 3)
    card.putData(3, E1000Packet.ethernet(), command: 0x09, options: 2)
    card.ring(4)
    #expect(card.network.sent.map(\.checksum) == [.init(start: 34, offset: 16), .init(start: 14, offset: 6)])
  }

  @Test("contexts are forgotten by a reset")
  func resetForgets() {
    card.putContext(0, command: 0x03)
    card.ring(1)
    card.write(0x0000, 0x0400_0000)
    card.startTransmit()
    card.putData(0, E1000Packet.ipv4(payload: 10), options: 2)
    card.ring(1)
    #expect(card.network.sent.first?.checksum == nil)
    #expect(card.count(.badDescriptor) == 1)
  }

  struct BadContext: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var ipcss: UInt64 = 14
    var ipcso: UInt64 = 24
    var ipcse: UInt64 = 33
    var tucss: UInt64 = 34
    var tucso: UInt64 = 50
    var command: UInt64 = 0x07
    var header: UInt64 = 54
    var mss: UInt64 = 1460
  }

  static let badContexts: [BadContext] = [
    .init(testDescription: "header length 0", header: 0),
    .init(testDescription: "header shorter than TCP's", header: 40),
    .init(testDescription: "header longer than the packet", header: 255),
    .init(testDescription: "MSS 0", mss: 0),
    .init(testDescription: "UDP", command: 0x06),
    .init(testDescription: "IPCSS inside Ethernet", ipcss: 3),
    .init(testDescription: "IPCSS beyond", ipcss: 250),
    .init(testDescription: "IPCSO beyond", ipcso: 255),
    .init(testDescription: "IPCSE beyond", ipcse: 0xFFFF),
    .init(testDescription: "IPCSE before IPCSS", ipcse: 2),
    .init(testDescription: "TUCSS beyond", tucss: 255),
    .init(testDescription: "TUCSS inside IP", tucss: 20),
    .init(testDescription: "TUCSO beyond", tucso: 255),
    .init(testDescription: "TUCSO before TUCSS", tucso: 10),
    .init(testDescription: "IPv6 in too short a header", command: 0x05),
  ]

  @Test(
    "a packet whose segmentation context does not fit is dropped and counted in TSCTFC", arguments: badContexts)
  func nonsense(_ bad: BadContext) {
    card.putContext(
      0, ipcss: bad.ipcss, ipcso: bad.ipcso, ipcse: bad.ipcse, tucss: bad.tucss, tucso: bad.tucso,
      command: bad.command, payload: 100, header: bad.header, mss: bad.mss)
    card.putData(1, Self.large(payload: 100), command: 0x0D, options: 3)
    card.putLegacy(2, E1000Packet.ethernet())
    card.ring(3)
    #expect(card.network.sent.map(\.bytes) == [E1000Packet.ethernet()])
    #expect(card.read(0x40FC) == 1)
    #expect(card.count(.dropsMalformed) == 1)
    #expect(card.transmitStatus(1) == 1)
  }

  @Test("TSE without a segmentation context drops the packet")
  func noSegmentationContext() {
    card.putData(0, Self.large(payload: 5000), command: 0x0D, options: 3)
    card.ring(1)
    #expect(card.network.sent.isEmpty)
    #expect(card.read(0x40FC) == 1)
  }

  @Test("an invalid checksum context inserts nothing, and the packet leaves unchanged")
  func nonsenseChecksum() {
    let frame = E1000Packet.ethernet()
    card.putContext(0, ipcss: 200, ipcso: 255, ipcse: 1, tucss: 255, tucso: 255, tucse: 1, command: 0x03)
    card.putData(1, frame, options: 3)
    card.ring(2)
    #expect(card.network.sent.map(\.bytes) == [frame])
    #expect(card.count(.badDescriptor) == 2)
  }

  @Test("an unknown descriptor type is skipped and counted")
  func unknownType() {
    card.putDescriptor(0, 0x10_0000, 100 | 7 << 20 | 0x2B << 24)
    card.putLegacy(1, E1000Packet.ethernet())
    card.ring(2)
    #expect(card.network.sent.count == 1)
    #expect(card.count(.badDescriptor) == 1)
    #expect(card.transmitStatus(0) == 1)
  }
}
