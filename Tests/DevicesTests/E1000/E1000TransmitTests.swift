import Backends
import Devices
import TestSupport
import Testing

@Suite("82540EM transmit ring and legacy descriptors (SDM 3.3.3, 3.4)")
struct E1000TransmitTests {
  let card: E1000Bench
  init() throws {
    card = try E1000Bench()
    card.startTransmit()
  }

  @Test("a tail write sends the frame, moves the head and writes DD back")
  func sends() {
    let frame = E1000Packet.ethernet()
    card.putLegacy(0, frame)
    card.ring(1)
    #expect(card.network.sent.map(\.bytes) == [frame])
    #expect(card.network.bursts == 1)
    #expect(card.read(0x3810) == 1)
    #expect(card.transmitStatus(0) == 1)
    #expect(card.count(.doorbells) == 1)
    #expect(card.count(.framesSent) == 1)
    #expect(card.count(.bytesSent) == 100)
    #expect(card.count(.bytesCopied) == 0)
  }

  @Test("without RS nothing is written back")
  func noReport() {
    card.putLegacy(0, E1000Packet.ethernet(), command: 0x03)
    card.ring(1)
    #expect(card.network.sent.count == 1)
    #expect(card.transmitStatus(0) == 0)
    #expect(card.read(0x00C0) & 1 == 0)
  }

  @Test("nothing is sent before TCTL.EN (SDM 13.4.33)")
  func disabled() {
    card.write(0x0400, 0)
    card.putLegacy(0, E1000Packet.ethernet())
    card.ring(1)
    #expect(card.network.sent.isEmpty)
    card.write(0x0400, 2)
    card.bench.settle()
    #expect(card.network.sent.count == 1)
  }

  @Test("nothing is sent before bus mastering is enabled, and everything after (PCI 3.0, 6.2.2)")
  func busMaster() {
    card.nic.writeConfiguration(0x04, 0x0003, width: 2)
    card.putLegacy(0, E1000Packet.ethernet())
    card.ring(1)
    #expect(card.network.sent.isEmpty)
    card.nic.writeConfiguration(0x04, 0x0007, width: 2)
    card.bench.settle()
    #expect(card.network.sent.count == 1)
  }

  @Test("a packet may lie in several buffers; EOP ends it")
  func severalBuffers() {
    let frame = E1000Packet.ethernet(count: 300)
    card.putLegacy(0, Array(frame[0..<14]), command: 0)
    card.putLegacy(1, Array(frame[14..<200]), command: 0x08)
    card.putLegacy(2, Array(frame[200...]), command: 0x0B)
    card.ring(2)
    #expect(card.network.sent.isEmpty)
    #expect(card.read(0x3810) == 2)
    card.ring(3)
    #expect(card.network.sent.map(\.bytes) == [frame])
    #expect((0..<3).map(card.transmitStatus) == [0, 1, 1])
  }

  @Test("head and tail wrap around the ring")
  func wraps() {
    card.startTransmit(count: 8)
    for round in 0..<5 {
      for index in 0..<5 { card.putLegacy((round * 5 + index) % 8, E1000Packet.ethernet(seed: round * 5 + index)) }
      card.ring(UInt32((round * 5 + 5) % 8))
    }
    #expect(card.network.sent.map(\.bytes) == (0..<25).map { E1000Packet.ethernet(seed: $0) })
    #expect(card.read(0x3810) == 1)
  }

  @Test("TDH equal to TDT is an empty ring")
  func empty() {
    card.ring(0)
    #expect(card.network.sent.isEmpty)
    #expect(card.read(0x00C0) & 3 == 0)
  }

  @Test("each frame is sent once, whatever the batch size", arguments: [1, 3, 64, 1000])
  func batches(_ batch: Int) throws {
    let card = try E1000Bench(options: .init(transmitBatch: batch))
    card.startTransmit()
    for index in 0..<20 { card.putLegacy(index, E1000Packet.ethernet(seed: index)) }
    card.ring(20)
    #expect(card.network.sent.map(\.bytes) == (0..<20).map { E1000Packet.ethernet(seed: $0) })
    #expect((0..<20).allSatisfy { card.transmitStatus($0) == 1 })
  }

  @Test("one turn of the loop takes at most one ring of descriptors")
  func fairness() throws {
    let card = try E1000Bench(options: .init(transmitBatch: 2))
    card.startTransmit(count: 8)
    for index in 0..<8 { card.putLegacy(index, E1000Packet.ethernet(seed: index)) }
    card.ring(7)
    #expect(card.network.sent.count == 7)
    #expect(card.network.bursts == 1)
  }

  @Test("a longer packet than 16288 bytes is dropped (SDM 3.3.3)")
  func longest() {
    let frame = E1000Packet.ethernet(count: 16_288)
    card.putLegacy(0, Array(frame[0..<8_000]), command: 0)
    card.putLegacy(1, Array(frame[8_000...]))
    card.putLegacy(2, Array(frame[0..<8_000]), command: 0)
    card.putLegacy(3, Array(frame[8_000...]) + [0])
    card.putLegacy(4, E1000Packet.ethernet())
    card.ring(5)
    #expect(card.network.sent.map(\.bytes.count) == [16_288, 100])
    #expect(card.count(.dropsMalformed) == 1)
    #expect(card.transmitStatus(3) == 1)
  }

  @Test("TCTL.PSP pads to 60 bytes; without it a short frame stays short")
  func padding() {
    let short = E1000Packet.ethernet(count: 20)
    card.putLegacy(0, short)
    card.ring(1)
    card.write(0x0400, 0x02)
    card.putLegacy(1, short)
    card.ring(2)
    #expect(card.network.sent.map(\.bytes) == [short + [UInt8](repeating: 0, count: 40), short])
  }

  @Test("a packet without a whole Ethernet header is dropped")
  func runt() {
    card.putLegacy(0, [1, 2, 3])
    card.putLegacy(1, [])
    card.ring(2)
    #expect(card.network.sent.isEmpty)
    #expect(card.count(.dropsMalformed) == 2)
    #expect(card.transmitStatus(1) == 1)
  }

  @Test("a legacy checksum is left to a backend with checksum offload (SDM 3.3.3.1)")
  func legacyChecksumLeft() {
    let frame = E1000Packet.ipv4(payload: 100, checksums: false)
    card.putLegacy(0, frame, command: 0x0F, css: 34, cso: 50)
    card.ring(1)
    #expect(card.network.sent.first?.checksum == PartialChecksum(start: 34, offset: 16))
    #expect(card.network.sent.first?.bytes == frame)
  }

  @Test("a legacy checksum is inserted for a backend without checksum offload")
  func legacyChecksumInserted() throws {
    let card = try E1000Bench(offloads: [])
    card.startTransmit()
    var frame = E1000Packet.ipv4(payload: 101, checksums: false)
    E1000Packet.put(E1000Packet.pseudoHeader(frame, length: 121), &frame, 50)
    card.putLegacy(0, frame, command: 0x0F, css: 34, cso: 50)
    card.ring(1)
    let sent = try #require(card.network.sent.first)
    #expect(sent.checksum == nil)
    #expect(E1000Packet.transportSum(sent.bytes) == 0xFFFF)
    #expect(card.bench.bytes(at: card.buffer(0), count: frame.count) == frame, "guest memory is not changed")
  }

  @Test(
    "a checksum start or field beyond the packet inserts nothing, and the packet is sent",
    arguments: [(200, 50), (34, 250)])
  func legacyNonsense(_ css: UInt64, _ cso: UInt64) {
    let frame = E1000Packet.ethernet()
    card.putLegacy(0, frame, command: 0x0F, css: css, cso: cso)
    card.ring(1)
    #expect(card.network.sent.map(\.bytes) == [frame])
    #expect(card.network.sent.first?.checksum == nil)
    #expect(card.count(.badDescriptor) == 1)
  }

  @Test("VLE inserts a tag of type VET when CTRL.VME allows it (SDM 9.2)")
  func vlan() {
    let frame = E1000Packet.ethernet()
    card.putLegacy(0, frame, command: 0x4B, special: 0x2123)
    card.ring(1)
    card.write(0x0000, 0x4000_0241)
    card.putLegacy(1, frame, command: 0x4B, special: 0x2123)
    card.ring(2)
    card.write(0x0038, 0x9100)
    card.putLegacy(2, frame, command: 0x4B, special: 0x0001)
    card.ring(3)
    #expect(
      card.network.sent.map(\.bytes) == [
        frame, E1000Packet.tagged(0x2123, frame), E1000Packet.tagged(1, frame, type: 0x9100),
      ])
  }

  @Test("inserting a tag shifts a partial checksum")
  func vlanChecksum() {
    card.write(0x0000, 0x4000_0241)
    card.putLegacy(0, E1000Packet.ipv4(payload: 10), command: 0x4F, css: 34, cso: 50, special: 5)
    card.ring(1)
    #expect(card.network.sent.first?.checksum == PartialChecksum(start: 38, offset: 16))
  }

  @Test("a packet scattered over hundreds of buffers arrives whole")
  func manyPieces() {
    card.startTransmit(count: 1024)
    let frame = E1000Packet.ethernet(count: 900)
    for index in 0..<900 {
      // Buffers two bytes apart, so that no two join.
      card.bench.store([frame[index]], at: 0x10_0000 + UInt64(index) * 2)
      card.putDescriptor(index, 0x10_0000 + UInt64(index) * 2, 1 | (index == 899 ? 0x0B : 0) << 24)
    }
    card.ring(900)
    #expect(card.network.sent.map(\.bytes) == [frame])
    #expect(card.count(.bounces) > 0)
    #expect(card.count(.bytesCopied) <= 900)
  }

  @Test("without a link, descriptors wait until it is back")
  func linkDown() {
    card.nic.setLink(up: false)
    card.putLegacy(0, E1000Packet.ethernet())
    card.ring(1)
    #expect(card.network.sent.isEmpty)
    #expect(card.read(0x3810) == 0)
    card.nic.setLink(up: true)
    card.bench.settle()
    #expect(card.network.sent.count == 1)
  }

  @Test("moving the head drops an incomplete packet")
  func headMoved() {
    card.putLegacy(0, E1000Packet.ethernet(seed: 1), command: 0)
    card.ring(1)
    card.write(0x3818, 0)
    card.write(0x3810, 0)
    card.putLegacy(0, E1000Packet.ethernet(seed: 2))
    card.ring(1)
    #expect(card.network.sent.map(\.bytes) == [E1000Packet.ethernet(seed: 2)])
  }

  @Test("after detaching nothing is sent")
  func detached() {
    card.nic.detach()
    card.putLegacy(0, E1000Packet.ethernet())
    card.ring(1)
    card.nic.detach()
    card.write(0x00C4, 100)
    card.write(0x00D0, 4)
    card.write(0x00C8, 4)
    #expect(card.network.sent.isEmpty)
    #expect(card.network.offer(E1000Packet.ethernet()) == .discarded)
  }

  @Test("loop and backend release a detached device")
  func released() throws {
    let bench = try DeviceBench()
    let network = RecordedNetwork()
    weak var remaining: E1000?
    do {
      let nic = try E1000(
        name: "e1000", macAddress: E1000Bench.mac, memory: bench.memory, backend: network, loop: bench.loop,
        counters: bench.counters)
      remaining = nic
      nic.detach()
    }
    bench.settle()
    #expect(remaining == nil)
  }

  @Test("after a reset during a send, the device reads and writes nothing more of the ring")
  func resetWhileSending() {
    for index in 0..<3 { card.putLegacy(index, E1000Packet.ethernet(seed: index)) }
    card.network.whileSending { [card] in card.write(0x0000, 0x0400_0000) }
    card.ring(3)
    card.network.whileSending(nil)
    #expect(card.network.sent.count == 1)
    #expect((0..<3).map(card.transmitStatus) == [0, 0, 0])
    #expect(card.read(0x3810) == 0)
  }

  @Test("with bus mastering off, the ring is not accessed; once it is on, the rest is sent and reported")
  func busMasterOffWhileSending() {
    for index in 0..<3 { card.putLegacy(index, E1000Packet.ethernet(seed: index)) }
    card.network.whileSending { [card] in card.nic.writeConfiguration(0x04, 0x0003, width: 2) }
    card.ring(3)
    card.network.whileSending(nil)
    #expect(card.network.sent.count == 1)
    #expect((0..<3).map(card.transmitStatus) == [0, 0, 0])
    card.nic.writeConfiguration(0x04, 0x0007, width: 2)
    card.bench.settle()
    #expect(card.network.sent.map(\.bytes) == (0..<3).map { E1000Packet.ethernet(seed: $0) }, "each once")
    #expect((0..<3).map(card.transmitStatus) == [1, 1, 1])
  }

  @Test("the device ends the burst on the wire and in loopback if a guest turns loopback on between two frames")
  func loopbackWhileSending() throws {
    let card = try E1000Bench(options: .init(transmitBatch: 1))
    card.startTransmit()
    card.startReceive()
    card.write(0x00D0, 0x80)
    for index in 0..<2 { card.putLegacy(index, E1000Packet.ethernet(seed: index)) }
    card.network.whileSending { card.write(0x0100, 0x0400_8042) }
    card.ring(2)
    card.network.whileSending(nil)
    #expect(card.network.sent.count == 1)
    #expect(card.network.bursts == 1)
    #expect(card.received(0).bytes == E1000Packet.ethernet(seed: 1))
    #expect(card.bench.line.isAsserted)
  }

  @Test("statistics count packets, octets with FCS, sizes and groups (SDM 13.7)")
  func statistics() {
    let broadcast = [UInt8](repeating: 0xFF, count: 6)
    let multicast: [UInt8] = [1, 0, 0x5E, 0, 0, 1]
    for (index, size) in [60, 100, 200, 400, 1000, 1514].enumerated() {
      let target = index == 0 ? broadcast : index == 1 ? multicast : E1000Bench.mac
      card.putLegacy(index, E1000Packet.ethernet(to: target, count: size))
    }
    card.ring(6)
    #expect(card.read(0x40D4) == 6)
    #expect(card.read(0x4080) == 6)
    #expect(card.read(0x40F4) == 1)
    #expect(card.read(0x40F0) == 1)
    let octets: UInt32 = 3298
    #expect(card.read(0x4090) == octets)
    #expect(card.read(0x4090) == octets, "the low half waits for the high half")
    #expect(card.read(0x4094) == 0)
    #expect(card.read(0x4090) == 0)
    #expect(card.read(0x40C8) == octets)
    for register: UInt64 in stride(from: 0x40D8, through: 0x40EC, by: 4) { #expect(card.read(register) == 1) }
    #expect(card.read(0x4080) == 0, "reading clears")
  }
}
