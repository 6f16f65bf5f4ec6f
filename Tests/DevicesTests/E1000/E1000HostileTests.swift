import Backends
import Devices
import TestSupport
import Testing

@Suite("82540EM under a hostile guest")
struct E1000HostileTests {
  let card: E1000Bench
  init() throws { card = try E1000Bench() }

  @Test("a transmit ring of length 0 does nothing")
  func emptyRing() {
    card.startTransmit()
    card.write(0x3808, 0)
    card.ring(5)
    #expect(card.network.sent.isEmpty)
    #expect(card.read(0x3810) == 0)
  }

  @Test("a tail outside the ring is counted, and nothing is sent until the driver corrects it")
  func tailBeyond() {
    card.startTransmit(count: 8)
    card.putLegacy(0, E1000Packet.ethernet())
    card.ring(8)
    card.ring(0xFFFF)
    #expect(card.network.sent.isEmpty)
    #expect(card.count(.badIndex) >= 2)
    card.ring(1)
    #expect(card.network.sent.count == 1)
  }

  @Test("a head outside the ring is handled in the same way")
  func headBeyond() {
    card.startTransmit(count: 8)
    card.write(0x3810, 0xFFFF)
    card.ring(1)
    #expect(card.count(.badIndex) >= 1)
    #expect(card.read(0x3810) == 0xFFFF)
  }

  static let badBases: [(UInt32, UInt32)] = [
    (0xFFFF_FFF0, 0xFFFF_FFFF), (0, 0x8000_0000), (0x00FF_FFF0, 0), (0xE000_0000, 0), (0xFFFF_FF80, 0xFFFF_FFFF),
  ]

  @Test("a transmit ring that is not RAM stops the transmitter and is counted", arguments: badBases)
  func badTransmitBase(_ low: UInt32, _ high: UInt32) {
    card.startTransmit()
    card.write(0x3800, low)
    card.write(0x3804, high)
    card.ring(3)
    #expect(card.count(.badAddress) >= 1)
    #expect(card.read(0x3810) == 0)
    #expect(card.network.sent.isEmpty)
  }

  @Test("a receive ring that is not RAM drops frames and is counted", arguments: badBases)
  func badReceiveBase(_ low: UInt32, _ high: UInt32) {
    card.startReceive()
    card.write(0x2800, low)
    card.write(0x2804, high)
    #expect(card.offer(E1000Packet.ethernet()) == .discarded)
    #expect(card.count(.badAddress) == 1)
    #expect(card.count(.dropsNoReceiveBuffer) == 1)
  }

  @Test("receive indices outside the ring hold frames until they are corrected", arguments: [UInt64(0x2810), 0x2818])
  func receiveIndexBeyond(_ register: UInt64) {
    card.startReceive(count: 8)
    card.write(register, 8)
    #expect(card.offer(E1000Packet.ethernet()) == .noBuffer)
    #expect(card.count(.badIndex) >= 1)
    card.write(register, register == 0x2810 ? 0 : 7)
    card.bench.settle()
    #expect(card.network.waitingCount == 0)
    #expect(card.received(0).length == 100)
  }

  @Test("a receive ring of length 0 drops")
  func emptyReceiveRing() {
    card.startReceive()
    card.write(0x2808, 0)
    card.write(0x2818, 0)
    #expect(card.offer(E1000Packet.ethernet()) == .discarded)
  }

  static let badBuffers: [UInt64] = [0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFC0, 1 << 63, 0x00FF_FFFF, 0xE000_0000]

  @Test("a transmit buffer that is not RAM drops only its packet", arguments: badBuffers)
  func badBuffer(_ address: UInt64) {
    card.startTransmit()
    card.putLegacy(0, E1000Packet.ethernet(seed: 0))
    card.putDescriptor(1, address, 100 | 0x0B << 24)
    card.putLegacy(2, E1000Packet.ethernet(seed: 2))
    card.ring(3)
    #expect(card.network.sent.map(\.bytes) == [E1000Packet.ethernet(seed: 0), E1000Packet.ethernet(seed: 2)])
    #expect(card.count(.badAddress) == 1)
    #expect(card.count(.dropsMalformed) == 1)
    #expect(card.transmitStatus(1) == 1)
  }

  @Test("a packet without end is dropped as it exceeds 64 KiB, and the next one is sent")
  func endlessPacket() {
    card.startTransmit(count: 64)
    for index in 0..<60 { card.putDescriptor(index, 0x10_0000, 0xFFFF | 0x08 << 24) }
    card.putLegacy(60, E1000Packet.ethernet(seed: 1))
    card.putLegacy(61, E1000Packet.ethernet(seed: 2))
    card.ring(62)
    #expect(card.network.sent.map(\.bytes) == [E1000Packet.ethernet(seed: 2)])
    #expect(card.count(.badChain) == 1)
    #expect(card.count(.dropsMalformed) == 1)
  }

  @Test("repeated rings of descriptors without EOP use no further memory")
  func endlessRings() {
    card.startTransmit(count: 8)
    for index in 0..<8 { card.putDescriptor(index, UInt64(0x10_0000 + index * 0x100), 1 | 0x20_0000 | 0x08 << 24) }
    for round in 0..<2_000 { card.ring(UInt32((round + 1) * 7 % 8)) }
    #expect(card.network.sent.isEmpty)
    #expect(card.count(.doorbells) == 2_000)
  }

  @Test("data descriptors of 1 MiB - 1 are bounded")
  func longData() {
    card.startTransmit()
    card.putDescriptor(0, 0x10_0000, 0xF_FFFF | 1 << 20 | 0x2B << 24)
    card.putLegacy(1, E1000Packet.ethernet())
    card.ring(2)
    #expect(card.network.sent.count == 1)
    #expect(card.count(.badChain) == 1)
  }

  @Test("a turn ends after two frames of 2047 segments each, so that other handlers can run")
  func smallestSegments() {
    card.startTransmit()
    let packet = E1000Packet.ipv4(payload: 65_481)
    card.bench.store(packet, at: 0x10_0000)
    card.putContext(0, command: 0x07, payload: 65_481, header: 54, mss: 32)
    for index in 1...20 {
      card.putDescriptor(index, 0x10_0000, UInt64(packet.count) | 1 << 20 | 0x2F << 24)
    }
    card.write(0x3818, 21)
    card.bench.loop.runOnce()
    #expect(card.network.sent.count == 2)
    #expect(card.read(0x3810) == 3)
    card.bench.settle()
    #expect(card.network.sent.count == 20)
    #expect(card.network.bursts == 10)
    #expect(card.read(0x3810) == 21)
  }

  @Test("frames that need no segmentation share a turn, whatever their size")
  func plainTurn() {
    card.startTransmit()
    for index in 0..<63 { card.putLegacy(index, E1000Packet.ethernet(count: 1514)) }
    card.write(0x3818, 63)
    card.bench.loop.runOnce()
    #expect(card.network.sent.count == 63)
  }

  @Test("a frame that waited for many small buffers arrives in a ring of fewer large ones", arguments: [false, true])
  func starvedThroughNewRing(resets: Bool) {
    // LPE and buffers of 256 bytes: 9000 bytes need 36 descriptors.
    card.startReceive(count: 64, control: 0x0403_8022, tail: 30)
    #expect(card.offer(E1000Packet.ethernet(count: 9000)) == .noBuffer)
    if resets { card.write(0x0000, 0x0400_0000) }
    card.startReceive(count: 16, control: 0x0400_8022)
    card.bench.settle()
    #expect(card.network.waitingCount == 0)
    #expect(card.count(.framesReceived) == 1)
  }

  @Test("random descriptors and registers never trap", arguments: 0..<20)
  func noise(_ seed: UInt64) {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
    func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
    card.startReceive()
    card.startTransmit()
    let registers: [UInt64] = [
      0x0000, 0x0010, 0x0014, 0x0020, 0x00C4, 0x00C8, 0x00D0, 0x0100, 0x0400, 0x2800, 0x2804, 0x2808, 0x2810, 0x2818,
      0x2820, 0x3800, 0x3804, 0x3808, 0x3810, 0x3818, 0x5000, 0x0038, 0x3820, 0x382C, 0x282C,
    ]
    for round in 0..<400 {
      for index in 0..<16 {
        // Mostly plausible addresses, so that frames are built.
        let address = next() & 3 == 0 ? next() : 0x10_0000 + next() & 0xFFFF
        card.putDescriptor(index, address, next() & 0xFFFF_FFFF_FFFF_03FF | 0x20 << 24)
        card.putReceive(Int(next() % 64), next() & 7 == 0 ? next() : 0x80_0000)
      }
      if round % 8 == 7 {
        card.write(registers[Int(next() % UInt64(registers.count))], UInt32(truncatingIfNeeded: next()))
      }
      if round % 32 == 31 {
        card.startReceive(control: UInt32(truncatingIfNeeded: next()) | 2)
        card.startTransmit()
      }
      card.ring(UInt32(next() % 64))
      card.offer(E1000Packet.ipv4(payload: Int(next() % 1400)))
      card.bench.advance(by: next() % 100_000)
    }
  }

  @Test("noise over every register, at every width", arguments: 0..<4)
  func registerNoise(_ seed: UInt64) {
    var state = seed &+ 77
    for _ in 0..<20_000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let offset = (state >> 33) % 0x2_0000
      let width = [1, 2, 4, 8][Int(state >> 20 & 3)]
      card.bench.bus.write(.memory, E1000Bench.base + offset, width: width, state)
      _ = card.bench.bus.read(.memory, E1000Bench.base + offset, width: width)
      card.bench.outl(0xC100 + (state >> 40 & 7), UInt32(truncatingIfNeeded: state))
      _ = card.bench.inl(0xC100 + (state >> 44 & 63) & ~3)
    }
    card.bench.advance(by: 1_000_000)
  }
}
