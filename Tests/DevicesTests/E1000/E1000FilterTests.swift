import Backends
import Devices
import TestSupport
import Testing

@Suite("82540EM address and VLAN filters (SDM 3.2.1, 9, 13.5)")
struct E1000FilterTests {
  let card: E1000Bench
  init() throws { card = try E1000Bench() }

  private func accepts(_ destination: [UInt8]) -> Bool {
    card.offer(E1000Packet.ethernet(to: destination)) == .accepted
  }
  private let broadcast = [UInt8](repeating: 0xFF, count: 6)
  private let stranger: [UInt8] = [0x02, 1, 2, 3, 4, 5]

  @Test("unicast: the station's own address, exactly (PIF 0)")
  func unicast() {
    card.startReceive()
    #expect(accepts(E1000Bench.mac))
    #expect(card.received(0).status & 0x80 == 0)
    #expect(!accepts(stranger))
    #expect(card.count(.dropsFiltered) == 1)
  }

  @Test("each of the 16 receive addresses matches while AV is set", arguments: [UInt64(1), 7, 15])
  func receiveAddresses(_ index: UInt64) {
    card.startReceive()
    card.write(0x5400 + 8 * index, 0x0302_0102)
    card.write(0x5404 + 8 * index, 0x0000_0504)
    #expect(!accepts(stranger))
    card.write(0x5404 + 8 * index, 0x8000_0504)
    #expect(accepts(stranger))
  }

  @Test("BAM admits broadcasts")
  func broadcasts() {
    card.startReceive(control: 0x0400_0002)
    #expect(!accepts(broadcast))
    card.write(0x0100, 0x0400_8002)
    #expect(accepts(broadcast))
  }

  @Test("UPE admits all unicast and no multicast, MPE the reverse, and PIF shows it")
  func promiscuous() {
    card.startReceive(control: 0x0400_000A)
    #expect(accepts(stranger))
    #expect(card.received(0).status & 0x80 == 0x80)
    #expect(!accepts([1, 0, 0x5E, 1, 2, 3]))
    card.write(0x0100, 0x0400_0012)
    #expect(!accepts(stranger))
    #expect(accepts([1, 0, 0x5E, 1, 2, 3]))
    #expect(accepts(broadcast))
  }

  /// 12 bits of 0x5634, starting at bit 4, 3, 2 or 0.
  @Test(
    "the multicast table is indexed by the bits that MO chooses",
    arguments: [(0, 0x563), (1, 0xAC6), (2, 0x58D), (3, 0x634)])
  func multicastTable(_ offset: UInt32, _ index: UInt32) {
    let address: [UInt8] = [0x01, 0x00, 0x5E, 0x11, 0x34, 0x56]
    card.startReceive(control: 0x0400_0002 | offset << 12)
    #expect(!accepts(address))
    card.write(0x5200 + UInt64(index >> 5) * 4, 1 << (index & 31))
    #expect(accepts(address))
    #expect(card.received(0).status & 0x80 == 0x80)
    #expect(!accepts([0x01, 0x00, 0x5E, 0x11, 0x35, 0x57]))
  }

  @Test("VFE passes only tags set in VFTA; untagged frames pass")
  func vlanFilter() {
    card.startReceive(control: 0x0404_8002)
    let frame = E1000Packet.ethernet()
    #expect(card.offer(frame) == .accepted)
    #expect(card.offer(E1000Packet.tagged(0x6064, frame)) == .discarded)
    card.write(0x5600 + 4 * (0x64 >> 5), 1 << (0x64 & 31))
    #expect(card.offer(E1000Packet.tagged(0x6064, frame)) == .accepted)
    #expect(card.offer(E1000Packet.tagged(0x0065, frame)) == .discarded)
    #expect(card.offer(E1000Packet.tagged(0x0065, frame, type: 0x88A8)) == .accepted, "another type is not a tag")
  }

  @Test("CFIEN compares the canonical form indicator")
  func canonicalForm() {
    card.startReceive(control: 0x040C_8002)
    card.write(0x5600, 2)
    #expect(card.offer(E1000Packet.tagged(0x0001, E1000Packet.ethernet())) == .accepted)
    #expect(card.offer(E1000Packet.tagged(0x1001, E1000Packet.ethernet())) == .discarded)
    card.write(0x0100, 0x041C_8002)
    #expect(card.offer(E1000Packet.tagged(0x1001, E1000Packet.ethernet())) == .accepted)
  }

  @Test("VME strips the tag into the special field and sets VP (SDM 9.3)")
  func stripping() {
    card.startReceive()
    let frame = E1000Packet.ethernet(count: 200)
    card.offer(E1000Packet.tagged(0x6064, frame))
    #expect(card.received(0).bytes == E1000Packet.tagged(0x6064, frame))
    #expect(card.received(0).status & 0x08 == 0)
    card.write(0x0000, 0x4000_0241)
    card.offer(E1000Packet.tagged(0x6064, frame))
    #expect(card.received(1).bytes == frame)
    #expect(card.received(1).status & 0x08 == 0x08)
    #expect(card.received(1).special == 0x6064)
    card.offer(frame)
    #expect(card.received(2).status & 0x08 == 0)
    #expect(card.received(2).special == 0)
  }

  @Test("checksums of tagged packets are checked behind the tag", arguments: [UInt32(0x241), 0x4000_0241])
  func taggedChecksums(_ control: UInt32) {
    card.startReceive()
    card.write(0x0000, control)
    card.write(0x5000, 0x300)
    card.offer(E1000Packet.tagged(5, E1000Packet.ipv4(payload: 300)))
    #expect(card.received(0).status & 0x60 == 0x60)
    #expect(card.received(0).errors == 0)
  }
}
