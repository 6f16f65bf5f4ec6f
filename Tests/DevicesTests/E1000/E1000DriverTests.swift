import TestSupport
import Testing

/// Rings and registers as Linux's driver sets them for a user's request.
@Suite("82540EM as Linux's driver uses it: MTU, downs and ups, settings under traffic")
struct E1000DriverTests {
  let card: E1000Bench
  init() throws { card = try E1000Bench() }

  @Test("MTU 9000: LPE, buffers of 4096 bytes and FCS; frames span three descriptors each way, tagged or not")
  func jumbo() {
    // EN, BAM, LPE, RDMTS of a half; BSEX with 256 times 16.
    card.startReceive(control: 0x0203_8022)
    card.startTransmit()
    let plain = E1000Packet.ethernet(count: 9014)
    for (index, frame) in [plain, E1000Packet.tagged(0x2005, plain)].enumerated() {
      #expect(card.offer(frame) == .accepted)
      let parts = (0..<3).map { card.received(3 * index + $0) }
      #expect(parts.map(\.status) == [0x01, 0x01, 0x07])
      #expect(parts.map(\.length) == [4096, 4096, frame.count + 4 - 8192])
      #expect(parts.flatMap(\.bytes) == frame + [0, 0, 0, 0])
    }
    #expect(card.read(0x40AC) == 0)

    // Sent from three buffers: EOP, IFCS and RS on the last alone.
    for (index, range) in [0..<4096, 4096..<8192, 8192..<9014].enumerated() {
      card.putData(index, Array(plain[range]), command: index == 2 ? 0x0B : 0x02)
    }
    card.ring(3)
    #expect(card.network.sent.map(\.bytes) == [plain])
    #expect((0..<3).map { card.transmitStatus($0) } == [0, 0, 1])
    #expect(card.read(0x40EC) == 1)
    #expect(card.read(0x4090) == 9018)
  }

  @Test("20 downs and ups under traffic: each descriptor completes, each frame leaves once, waiting frames arrive")
  func downsAndUps() {
    for round in 0..<20 {
      // Up: rings, then EN with an empty receive ring, then its buffers.
      card.startTransmit(count: 8)
      card.startReceive(count: 8, tail: 0)
      // The host sends before the receive ring has buffers.
      let received = E1000Packet.ethernet(seed: round)
      #expect(card.offer(received) == .noBuffer)
      card.write(0x2818, 7)
      card.bench.settle()
      #expect(card.received(0).bytes == received)
      for lap in 0..<3 {
        for index in 0..<7 { card.putLegacy((lap * 7 + index) % 8, E1000Packet.ethernet(seed: lap * 7 + index)) }
        card.ring(UInt32((lap + 1) * 7 % 8))
        #expect((0..<7).allSatisfy { card.transmitStatus((lap * 7 + $0) % 8) == 1 })
        #expect(card.read(0x3810) == card.read(0x3818))
      }
      // Down, with descriptors on the ring that the driver takes back.
      for index in 0..<4 { card.putLegacy((5 + index) % 8, E1000Packet.ethernet(seed: 99)) }
      card.write(0x0400, 0)
      card.write(0x3818, 1)
      card.bench.settle()
      #expect(card.network.sent.count == 21 * (round + 1))
      #expect(card.read(0x4080) == 21)
      #expect(card.read(0x4074) == 1)
      card.write(0x0100, 0)
      card.bench.outl(0xC100, 0)
      card.bench.outl(0xC104, 0x0400_0241)
    }
    #expect(card.network.sent.allSatisfy { $0.bytes != E1000Packet.ethernet(seed: 99) })
  }

  @Test("rx-all, promiscuous, VLAN and checksum settings change between two frames")
  func settings() {
    card.startReceive(count: 64, control: 0x8002)
    let stranger = E1000Packet.ethernet(to: [0x52, 0x54, 0, 9, 9, 9])
    let tagged = E1000Packet.tagged(0x0005, E1000Packet.ipv4(payload: 100))
    #expect(card.offer(stranger) == .discarded)
    card.write(0x0100, 0x801A)
    #expect(card.offer(stranger) == .accepted)
    // VLANs: filtered, then one admitted and stripped, then neither.
    card.write(0x0100, 0x4_8002)
    #expect(card.offer(tagged) == .discarded)
    card.write(0x5600, 1 << 5)
    card.write(0x0000, 0x4000_0241)
    card.write(0x5000, 0x300)
    #expect(card.offer(tagged) == .accepted)
    #expect(card.received(1).special == 5)
    #expect(card.received(1).status == 0x6B)
    card.write(0x5000, 0)
    card.write(0x0000, 0x0241)
    card.write(0x0100, 0x8002)
    #expect(card.offer(tagged) == .accepted)
    #expect(card.received(2).bytes == tagged + [0, 0, 0, 0])
    #expect(card.received(2).status == 0x07)
    // rx-all: SBP and PMCF accept frames that are too long, without LPE.
    let long = E1000Packet.ethernet(count: 1600)
    #expect(card.offer(long) == .discarded)
    card.write(0x0100, 0x80_8006)
    #expect(card.offer(long) == .accepted)
    #expect(card.received(3).bytes == long + [0, 0, 0, 0])
  }
}
