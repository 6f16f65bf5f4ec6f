import Backends
import Bus
import Devices
import TestSupport
import Testing

@Suite("82540EM receive ring (SDM 3.2)")
struct E1000ReceiveTests {
  let card: E1000Bench
  init() throws { card = try E1000Bench() }

  @Test("a frame is stored with DD and EOP, and the head moves")
  func stores() {
    card.startReceive()
    let frame = E1000Packet.ethernet()
    #expect(card.offer(frame) == .accepted)
    let seen = card.received(0)
    #expect(seen.bytes == frame)
    #expect(seen.status & 0x03 == 0x03)
    #expect(seen.errors == 0)
    #expect(card.read(0x2810) == 1)
    #expect(card.count(.framesReceived) == 1)
    #expect(card.count(.bytesReceived) == 100)
    #expect(card.count(.bytesCopied) == 100)
  }

  @Test("without SECRC four bytes of FCS follow (SDM 13.4.22)")
  func keepsFCS() {
    card.startReceive(control: 0x8002)
    card.offer(E1000Packet.ethernet())
    #expect(card.received(0).length == 104)
  }

  @Test("a short frame is padded to 60 bytes with zeroes")
  func pads() {
    card.startReceive()
    card.bench.store([UInt8](repeating: 0xAA, count: 64), at: card.receiveBuffer(0))
    let frame = E1000Packet.ethernet(count: 42)
    card.offer(frame)
    #expect(card.received(0).bytes == frame + [UInt8](repeating: 0, count: 18))
  }

  @Test("a disabled receiver discards", arguments: [UInt32(0), 0x8000])
  func disabled(_ control: UInt32) {
    card.startReceive(control: control)
    #expect(card.offer(E1000Packet.ethernet()) == .discarded)
    #expect(card.count(.dropsFiltered) == 1)
    #expect(card.read(0x2810) == 0)
  }

  @Test("without bus mastering or link, frames are discarded")
  func noBusMaster() {
    card.startReceive()
    card.nic.writeConfiguration(0x04, 0x0003, width: 2)
    #expect(card.offer(E1000Packet.ethernet()) == .discarded)
    card.nic.writeConfiguration(0x04, 0x0007, width: 2)
    card.nic.setLink(up: false)
    #expect(card.offer(E1000Packet.ethernet()) == .discarded)
  }

  static let sizes: [(UInt32, Int)] = [
    (0x0000_0000, 2048), (0x0001_0000, 1024), (0x0002_0000, 512), (0x0003_0000, 256), (0x0201_0000, 16_384),
    (0x0202_0000, 8192), (0x0203_0000, 4096),
  ]

  @Test("BSIZE and BSEX give the buffers' size; a longer frame takes several, EOP in the last", arguments: sizes)
  func bufferSizes(_ bits: UInt32, _ size: Int) {
    card.startReceive(control: 0x0400_8022 | bits)
    let frame = E1000Packet.ethernet(count: min(size + 100, 16_380))
    card.offer(frame)
    if size == 16_384 {
      #expect(card.received(0).bytes == frame)
      return
    }
    #expect(card.received(0).length == size)
    #expect(card.received(0).status == 0x01)
    #expect(card.received(1).length == 100)
    #expect(card.received(1).status & 0x03 == 0x03)
    #expect(card.received(0).bytes + card.received(1).bytes == frame)
    #expect(card.read(0x2810) == 2)
  }

  @Test("LPE admits packets over 1522 bytes with FCS, up to 16384; others count ROC")
  func longPackets() {
    card.startReceive()
    #expect(card.offer(E1000Packet.ethernet(count: 1518)) == .accepted)
    #expect(card.offer(E1000Packet.ethernet(count: 1519)) == .discarded)
    #expect(card.read(0x40AC) == 1)
    card.write(0x0100, 0x0400_8022)
    #expect(card.offer(E1000Packet.ethernet(count: 16_380)) == .accepted)
    #expect(card.offer(E1000Packet.ethernet(count: 16_381)) == .discarded)
  }

  @Test("the ring wraps")
  func wraps() {
    card.startReceive(count: 8)
    for index in 0..<30 {
      card.offer(E1000Packet.ethernet(seed: index))
      #expect(card.received(index % 8).bytes == E1000Packet.ethernet(seed: index))
      card.putReceive(index % 8, card.receiveBuffer(index % 8))
      card.write(0x2818, UInt32(index % 8))
    }
    #expect(card.read(0x2810) == 30 % 8)
  }

  @Test("without buffers the backend keeps the frame: RNBC and RXO once, no MPC; RDT fetches it (SDM 3.2.6)")
  func noBuffers() {
    card.startReceive(count: 8, tail: 2)
    for index in 0..<2 { #expect(card.offer(E1000Packet.ethernet(seed: index)) == .accepted) }
    #expect(card.offer(E1000Packet.ethernet(seed: 2)) == .noBuffer)
    #expect(card.offer(E1000Packet.ethernet(seed: 3)) == .noBuffer)
    #expect(card.network.waitingCount == 2)
    #expect(card.read(0x00C0) & 0x40 == 0x40)
    #expect(card.read(0x40A0) == 1)
    #expect(card.read(0x4010) == 0)
    card.write(0x2818, 3)
    card.bench.settle()
    #expect(card.received(2).bytes == E1000Packet.ethernet(seed: 2))
    #expect(card.network.waitingCount == 1)
    card.write(0x2818, 5)
    card.bench.settle()
    #expect(card.received(3).bytes == E1000Packet.ethernet(seed: 3))
    #expect(card.network.waitingCount == 0)
    #expect(card.count(.dropsNoReceiveBuffer) == 0)
  }

  @Test("a frame that needs several buffers waits until all are available")
  func waitsForAll() {
    card.startReceive(count: 8, control: 0x0402_8002, tail: 1)
    #expect(card.offer(E1000Packet.ethernet(count: 1000)) == .noBuffer)
    card.write(0x2818, 2)
    card.bench.settle()
    #expect(card.received(0).length + card.received(1).length == 1000)
  }

  @Test("a frame that waits for several descriptors is not offered again for each one")
  func offersOnce() {
    card.startReceive(count: 8, control: 0x0402_8002, tail: 0)
    card.offer(E1000Packet.ethernet(count: 1500))
    _ = card.read(0x40A0)
    for tail: UInt32 in 1...2 {
      card.write(0x2818, tail)
      card.bench.advance(by: 2_000_000)
    }
    #expect(card.read(0x40A0) == 0)
    card.write(0x2818, 3)
    card.bench.settle()
    #expect(card.read(0x2810) == 3)
  }

  @Test("waiting frames survive a reset and arrive once the receiver is enabled again")
  func starvedThroughReset() {
    card.startReceive(count: 8, tail: 0)
    #expect(card.offer(E1000Packet.ethernet()) == .noBuffer)
    card.write(0x0000, 0x0400_0000)
    card.bench.advance(by: 10_000_000)
    card.startReceive(count: 8)
    card.bench.settle()
    #expect(card.network.waitingCount == 0)
    #expect(card.received(0).bytes == E1000Packet.ethernet())
  }

  @Test("without coalescing, a tail write alone fetches the frame")
  func starvedWithoutCoalescing() throws {
    let card = try E1000Bench(options: .init(coalescesWrites: false))
    card.startReceive(count: 8, tail: 0)
    #expect(card.offer(E1000Packet.ethernet()) == .noBuffer)
    card.write(0x2818, 1)
    card.bench.settle()
    #expect(card.received(0).bytes == E1000Packet.ethernet())
  }

  @Test("SBP admits packets of a forbidden length")
  func storeBadPackets() {
    card.startReceive(control: 0x0400_8006)
    #expect(card.offer(E1000Packet.ethernet(count: 1600)) == .accepted)
  }

  @Test("a frame that no ring of this size could hold is dropped, not kept")
  func neverFits() {
    card.startReceive(count: 8, control: 0x0403_8022)
    #expect(card.offer(E1000Packet.ethernet(count: 9000)) == .discarded)
    #expect(card.count(.dropsNoReceiveBuffer) == 1)
    #expect(card.read(0x4010) == 1)
  }

  @Test("RXDMT0 is raised when free descriptors fall to the threshold", arguments: [(0, 32), (1, 16), (2, 8)])
  func threshold(_ setting: UInt32, _ free: Int) {
    card.startReceive(count: 64, control: 0x0400_8002 | setting << 8)
    for _ in 0..<(63 - free - 1) { card.offer(E1000Packet.ethernet()) }
    #expect(card.read(0x00C0) & 0x10 == 0)
    card.offer(E1000Packet.ethernet())
    #expect(card.read(0x00C0) & 0x10 == 0x10)
    card.offer(E1000Packet.ethernet())
    #expect(card.read(0x00C0) & 0x10 == 0)
  }

  @Test("a held tail write is applied before a frame is refused, and polled for without buffers")
  func heldBackTail() {
    final class Held: WriteCoalescer, @unchecked Sendable {
      var pending: (() -> Void)?
      var calls = 0
      func applyHeldWrites() {
        calls += 1
        pending?()
        pending = nil
      }
    }
    let held = Held()
    card.bench.bus.connect(held)
    card.startReceive(count: 8, tail: 1)
    card.offer(E1000Packet.ethernet(seed: 0))
    #expect(held.calls == 1, "a burst begins")
    held.pending = { [card] in card.write(0x2818, 2) }
    #expect(card.offer(E1000Packet.ethernet(seed: 1)) == .accepted)
    #expect(card.offer(E1000Packet.ethernet(seed: 2)) == .noBuffer)
    let calls = held.calls
    card.bench.advance(by: 99_000)
    #expect(held.calls == calls)
    held.pending = { [card] in card.write(0x2818, 3) }
    card.bench.advance(by: 1_000)
    #expect(held.calls == calls + 2, "the poll, and the burst that it fetches")
    #expect(card.received(2).bytes == E1000Packet.ethernet(seed: 2))
    #expect(card.network.waitingCount == 0)
    card.bench.advance(by: 10_000_000)
    #expect(held.calls == calls + 2, "the device stops polling once the frame is received")
  }

  @Test("the polling interval grows from 100 us to 1 ms")
  func searchBacksOff() {
    final class Counting: WriteCoalescer, @unchecked Sendable {
      var calls = 0
      func applyHeldWrites() { calls += 1 }
    }
    let counting = Counting()
    card.startReceive(count: 8, tail: 0)
    card.offer(E1000Packet.ethernet())
    card.bench.bus.connect(counting)
    for _ in 0..<100 { card.bench.advance(by: 100_000) }
    #expect((8...15).contains(counting.calls))
  }

  @Test("data for a bad buffer address is dropped and counted, and the ring keeps working")
  func badBuffer() {
    card.startReceive(count: 8)
    card.putReceive(0, 0xFFFF_FFFF_FFFF_FF00)
    card.offer(E1000Packet.ethernet(seed: 0))
    card.offer(E1000Packet.ethernet(seed: 1))
    #expect(card.count(.badAddress) == 1)
    #expect(card.received(1).bytes == E1000Packet.ethernet(seed: 1))
  }

  @Test("statistics count packets, octets with FCS, sizes and groups (SDM 13.7)")
  func statistics() {
    card.startReceive(control: 0x0400_8012)
    let broadcast = [UInt8](repeating: 0xFF, count: 6)
    for (index, size) in [42, 100, 200, 400, 1000, 1514].enumerated() {
      let target = index == 0 ? broadcast : index == 1 ? [1, 0, 0x5E, 0, 0, 1] : E1000Bench.mac
      card.offer(E1000Packet.ethernet(to: target, count: size))
    }
    card.offer(E1000Packet.ethernet(to: [2, 2, 2, 2, 2, 2]))
    #expect(card.read(0x40D0) == 7, "total packets, filtered or not")
    #expect(card.read(0x4074) == 6)
    #expect(card.read(0x4078) == 1)
    #expect(card.read(0x407C) == 1)
    let octets: UInt32 = 3298
    #expect(card.read(0x4088) == octets)
    #expect(card.read(0x408C) == 0)
    #expect(card.read(0x40C0) == octets + 104)
    for register: UInt64 in stride(from: 0x405C, through: 0x4070, by: 4) { #expect(card.read(register) == 1) }
    #expect(card.read(0x4074) == 0)
  }

  // MARK: Checksums (SDM 3.2.9)

  @Test("with IPOFLD and TUOFLD good checksums are reported", arguments: [false, true], [0, 1, 333, 1400])
  func goodChecksums(_ isUDP: Bool, _ payload: Int) {
    card.startReceive()
    card.write(0x5000, 0x300)
    card.offer(E1000Packet.ipv4(isUDP: isUDP, payload: payload))
    #expect(card.received(0).status == 0x63)
    #expect(card.received(0).errors == 0)
  }

  @Test("wrong checksums set TCPE and IPE, and the packet is delivered")
  func badChecksums() {
    card.startReceive()
    card.write(0x5000, 0x300)
    var frame = E1000Packet.ipv4(payload: 100)
    frame[80] ^= 1
    card.offer(frame)
    #expect(card.received(0).errors == 0x20)
    frame = E1000Packet.ipv4(payload: 100)
    frame[22] ^= 1
    card.offer(frame)
    #expect(card.received(1).errors == 0x40)
    #expect(card.received(1).status == 0x63)
  }

  @Test("a checksum that the sender marks as valid is not verified again")
  func verifiedChecksum() {
    card.startReceive()
    card.write(0x5000, 0x300)
    card.offer(E1000Packet.ipv4(payload: 100, checksums: false), verified: true)
    #expect(card.received(0).status & 0x20 == 0x20)
    #expect(card.received(0).errors & 0x20 == 0)
  }

  @Test("each offload is reported only when it is on; without any, IXSM is set")
  func offloadBits() {
    card.startReceive()
    for (bits, status): (UInt32, UInt8) in [(0, 0x07), (0x100, 0x43), (0x200, 0x23)] {
      card.write(0x5000, bits)
      let index = Int(card.read(0x2810))
      card.offer(E1000Packet.ipv4(payload: 10))
      #expect(card.received(index).status == status)
    }
  }

  @Test("fragments, other protocols and wrong lengths get no TCP checksum status")
  func noVerdict() {
    card.startReceive()
    card.write(0x5000, 0x300)
    var fragment = E1000Packet.ipv4(payload: 100)
    fragment[20] = 0x20
    var icmp = E1000Packet.ipv4(payload: 100)
    icmp[23] = 1
    var lying = E1000Packet.ipv4(payload: 100)
    lying[16] = 0xFF
    var noSum = E1000Packet.ipv4(isUDP: true, payload: 100)
    noSum[40] = 0
    noSum[41] = 0
    for (index, frame) in [fragment, icmp, lying, noSum, E1000Packet.ethernet()].enumerated() {
      card.offer(frame)
      #expect(card.received(index).status & 0x20 == 0)
      #expect(card.received(index).errors & 0x20 == 0)
    }
  }

  @Test("TCP over IPv6 is checked too")
  func ipv6() {
    card.startReceive()
    card.write(0x5000, 0x300)
    var frame = E1000Packet.ethernet(type: 0x86DD, count: 14) + [0x60, 0, 0, 0, 0, 30, 6, 64]
    frame += (0..<32).map { UInt8($0) } + [0, 1, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0]
    frame += (0..<10).map { UInt8($0 * 3) }
    let sum = E1000Packet.sum(Array(frame[22..<54]) + [0, 0, 0, 30, 0, 0, 0, 6] + frame[54...])
    E1000Packet.put(~sum, &frame, 70)
    card.offer(frame)
    #expect(card.received(0).status == 0x23)
    #expect(card.received(0).errors == 0)
    frame[80] ^= 0x10
    card.offer(frame)
    #expect(card.received(1).errors == 0x20)
  }

  @Test("a partial checksum is completed before the guest sees it")
  func partialChecksum() {
    card.startReceive()
    card.write(0x5000, 0x300)
    var frame = E1000Packet.ipv4(payload: 101, checksums: false)
    E1000Packet.put(~E1000Packet.sum(frame[14..<34]), &frame, 24)
    E1000Packet.put(E1000Packet.pseudoHeader(frame, length: 121), &frame, 50)
    #expect(card.network.offer(frame, checksum: .init(start: 34, offset: 16)) == .accepted)
    #expect(E1000Packet.transportSum(card.received(0).bytes) == 0xFFFF)
    #expect(card.received(0).status == 0x63)
    #expect(card.nic.acceptedOffloads == [])
  }

  @Test("a large frame is discarded, since the device accepts no offloads")
  func largeFrame() {
    card.startReceive()
    let delivery = card.network.offer(
      E1000Packet.ipv4(payload: 5000), segmentation: .init(kind: .tcp4, segmentSize: 1460, headerLength: 54))
    #expect(delivery == .discarded)
    #expect(card.count(.dropsMalformed) == 1)
  }

  @Test("the packet checksum covers the bytes from PCSS to the end (SDM 13.4.32)")
  func packetChecksum() {
    card.startReceive()
    card.write(0x5000, 14)
    let frame = E1000Packet.ethernet(count: 101)
    card.offer(frame)
    let seen = card.received(0).checksum
    #expect(seen == E1000Packet.sum(frame[14...]))
  }
}
