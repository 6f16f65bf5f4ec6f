import Backends
import Counters
import Devices
import EventLoop
import Synchronization
import TestSupport
import Testing
import Threads

@Suite("82540EM with its own I/O thread", .timeLimit(.minutes(10)))
struct E1000ThreadTests {
  /// Waits for a condition that the loop's thread brings about.
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
    "no frame is lost between a driver that returns buffers and a thread without any", arguments: [false, true])
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
    // A new frame may overtake held ones in this backend, so the order differs from the sender's.
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

  @Test("resets under traffic do not disturb later frames")
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

  @Test("every descriptor is reported although bus mastering goes off at each frame and soon on again")
  func busMaster() throws {
    let card = try E1000Bench(options: .init(transmitBatch: 1))
    card.startTransmit(count: 256)
    for index in 0..<256 { card.putLegacy(index, E1000Packet.ethernet(count: 64)) }
    let nic = card.nic
    let (offs, ons) = (SharedCount(), SharedCount())
    card.network.whileSending {
      nic.writeConfiguration(0x04, 0x03, width: 1)
      offs.value.add(1, ordering: .releasing)
    }
    // The device checks bus mastering to report a batch, and again to begin the next. The varying delays let some
    // writes fall between both checks.
    let rounds = 40
    let guest = BackgroundThread {
      for frame in 0..<rounds * 255 {
        while offs.value.load(ordering: .acquiring) <= frame {}
        for _ in 0..<frame % 512 { _ = nic.isBusMaster }
        nic.writeConfiguration(0x04, 0x07, width: 1)
        ons.value.add(1, ordering: .releasing)
      }
    }
    guest.start()
    defer {
      offs.value.store(.max, ordering: .releasing)
      guest.join()
    }
    var (unreported, tail) = (0, 0)
    for round in 1...rounds {
      let first = tail
      tail = (tail + 255) % 256
      for index in 0..<256 { card.bench.memory.store(UInt8(0), at: card.transmitRing + UInt64(index) * 16 + 12) }
      card.write(0x3818, UInt32(tail))
      let isSent = wait {
        card.bench.settle()
        return ons.value.load(ordering: .acquiring) == round * 255
      }
      try #require(isSent)
      card.bench.settle()
      #expect(card.read(0x3810) == tail)
      unreported += (0..<255).count { card.transmitStatus((first + $0) % 256) & 1 == 0 }
    }
    #expect(unreported == 0)
    #expect(card.count(.framesSent) == UInt64(rounds) * 255)
  }
}

/// A count that two threads share.
private final class SharedCount: Sendable { let value = Atomic(0) }
