import Backends
import Counters
import Devices
import EventLoop
import TestSupport
import Testing

@Suite("82540EM with an I/O thread of its own", .timeLimit(.minutes(1)))
struct E1000ThreadTests {
  /// Waits for what the loop's thread brings about.
  private func wait(_ condition: () -> Bool) -> Bool {
    for _ in 0..<20_000_000 where condition() { return true }
    return condition()
  }

  @Test("no frame is lost between a driver that fills the ring and a thread that drains it")
  func transmit() throws {
    let card = try E1000Bench(options: .init(transmitBatch: 7))
    card.startTransmit(count: 16)
    card.bench.loop.start()
    defer { card.bench.loop.stop() }
    var tail: UInt32 = 0
    for number in 0..<1_000 {
      let next = (tail + 1) % 16
      try #require(wait { card.read(0x3810) != next })
      card.putLegacy(Int(tail), E1000Packet.ethernet(count: 64, seed: number))
      tail = next
      card.write(0x3818, tail)
    }
    #expect(wait { card.read(0x3810) == tail })
    #expect(card.network.sent.map(\.bytes) == (0..<1_000).map { E1000Packet.ethernet(count: 64, seed: $0) })
  }

  @Test(
    "no frame is lost between a driver that gives back buffers and a thread that starves", arguments: [false, true])
  func receive(_ coalescesWrites: Bool) throws {
    let card = try E1000Bench(options: .init(coalescesWrites: coalescesWrites))
    card.startReceive(count: 8, tail: 0)
    card.bench.loop.start()
    defer { card.bench.loop.stop() }
    let network = card.network
    let total = 1_000
    card.bench.loop.post {
      for number in 0..<total { network.offer(E1000Packet.ethernet(count: 64, seed: number)) }
    }
    // The backend lets a new frame pass those it holds, so the order is not the senders'.
    var seen: [UInt8: Int] = [:]
    for number in 0..<total {
      let index = number % 8
      card.write(0x2818, UInt32((index + 1) % 8))
      try #require(wait { card.received(index).status & 1 != 0 })
      let bytes = card.received(index).bytes
      try #require(bytes.count == 64)
      seen[bytes[14], default: 0] += 1
      card.putReceive(index, card.receiveBuffer(index))
    }
    var expected: [UInt8: Int] = [:]
    for number in 0..<total { expected[UInt8(truncatingIfNeeded: 14 + number), default: 0] += 1 }
    #expect(seen == expected)
  }

  @Test("resets while frames fly do not disturb what comes after")
  func resets() throws {
    let card = try E1000Bench()
    card.bench.loop.start()
    defer { card.bench.loop.stop() }
    for round in 0..<200 {
      card.write(0x3800, UInt32(card.transmitRing))
      card.write(0x3808, 256)
      card.write(0x0400, 2)
      for index in 0..<8 { card.putLegacy(index, E1000Packet.ethernet(seed: round)) }
      card.write(0x3818, 8)
      if round % 3 == 0 { _ = card.read(0x00C0) }
      card.write(0x0000, 0x0400_0000)
      #expect(card.read(0x3810) == 0)
    }
    card.bench.loop.sync {}
    let before = card.count(.framesSent)
    card.write(0x3800, UInt32(card.transmitRing))
    card.write(0x3808, 256)
    card.write(0x0400, 2)
    card.putLegacy(0, E1000Packet.ethernet())
    card.write(0x3818, 1)
    #expect(wait { card.read(0x3810) == 1 })
    #expect(card.count(.framesSent) == before + 1)
  }
}
