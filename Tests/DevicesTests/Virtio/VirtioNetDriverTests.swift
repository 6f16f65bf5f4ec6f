import Backends
import Devices
import TestSupport
import Testing

/// Replays the writes of Linux 6.1's virtio_net for probe, open, ethtool and ip.
@Suite("virtio-net as Linux's driver uses it")
struct VirtioNetDriverTests {
  private static let own: [UInt8] = [0x52, 0x54, 0, 1, 2, 3]
  private static let other: [UInt8] = [0x52, 0x54, 0, 9, 9, 9]
  private static let group: [UInt8] = [0x33, 0x33, 0, 0, 0, 1]
  /// CSUM, GUEST_CSUM, CTRL_GUEST_OFFLOADS, MTU, MAC, GUEST_TSO4 and 6, HOST_TSO4 and 6, MRG_RXBUF, STATUS, CTRL_VQ,
  /// CTRL_RX, CTRL_VLAN, MQ, CTRL_MAC_ADDR, INDIRECT_DESC, VERSION_1.
  private static let features: UInt64 =
    0xF | 1 << 5 | 3 << 7 | 3 << 11 | 0x1F << 15 | 1 << 22 | 1 << 23 | 1 << 28 | 1 << 32

  let net: NetBench

  init() throws {
    net = try NetBench(queuePairs: 2)
    net.driver.start(Self.features, queues: 5, size: 64)
    for slot in 0..<64 as Range<UInt16> { net.addBuffer(slot, length: 1000) }
  }

  private func passes(_ destinations: [[UInt8]]) -> [Bool] {
    destinations.map { net.network.offer(NetBench.frame(60, to: $0)) == .accepted }
  }

  /// A MAC table of CTRL_MAC TABLE_SET.
  private func table(_ addresses: [[UInt8]]) -> [UInt8] {
    [UInt8(addresses.count), 0, 0, 0] + addresses.flatMap { $0 }
  }

  @Test("all features that the driver uses are offered, and besides only CTRL_RX_EXTRA and EVENT_IDX")
  func features() throws {
    let offered = try NetBench(queuePairs: 2).driver.deviceFeatures
    // CTRL_RX_EXTRA and EVENT_IDX.
    #expect(offered == Self.features | 1 << 20 | 1 << 29)
    let plain = try NetBench(offersOffloads: false, queuePairs: 2).driver.deviceFeatures
    #expect(plain == offered & ~(7 | 3 << 7 | 3 << 11))
  }

  @Test("probe and open: pairs, receive mode, tables, VLAN 0; then promiscuous, all multicast and back")
  func receiveModes() {
    #expect(net.control(4, 0, [1, 0]) == 0)
    #expect(net.control(0, 0, [0]) == 0)
    #expect(net.control(0, 1, [0]) == 0)
    #expect(net.control(1, 0, table([]) + table([Self.group])) == 0)
    #expect(net.control(2, 0, [0, 0]) == 0)
    #expect(passes([Self.own, Self.other, Self.group]) == [true, false, true])
    #expect(net.control(0, 0, [1]) == 0)
    #expect(passes([Self.other]) == [true])
    #expect(net.control(0, 0, [0]) == 0)
    #expect(net.control(1, 0, table([Self.other]) + table([])) == 0)
    #expect(passes([Self.other, Self.group]) == [true, false])
    #expect(net.control(0, 1, [1]) == 0)
    #expect(passes([Self.group]) == [true])
    #expect(net.bench.counters[.badRequest] == 0)
  }

  @Test("ethtool -K: receive offloads off and on, while a large frame is offered unfinished or whole")
  func receiveOffloads() {
    #expect(net.device.acceptedOffloads == [.checksum, .tso4, .tso6])
    // rx-gro-hw off leaves GUEST_CSUM.
    #expect(net.control(5, 0, [2, 0, 0, 0, 0, 0, 0, 0]) == 0)
    #expect(net.device.acceptedOffloads == [.checksum])
    #expect(net.network.offer(NetBench.frame(100), checksum: .init(start: 34, offset: 16)) == .accepted)
    #expect(net.buffer(0, 12) == [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 1, 0])
    #expect(net.network.offer(NetBench.frame(100), isVerified: true) == .accepted)
    #expect(net.buffer(1, 1) == [2])
    // As with XDP: no offloads, and no checksum status either.
    #expect(net.control(5, 0, [0, 0, 0, 0, 0, 0, 0, 0]) == 0)
    #expect(net.device.acceptedOffloads == [])
    #expect(net.network.offer(NetBench.frame(100), isVerified: true) == .accepted)
    #expect(net.buffer(2, 1) == [0])
    #expect(net.control(5, 0, [0x82, 1, 0, 0, 0, 0, 0, 0]) == 0)
    #expect(net.device.acceptedOffloads == [.checksum, .tso4, .tso6])
  }

  @Test("20 downs and ups of link and device under traffic: each frame leaves once, waiting frames arrive")
  func downsAndUps() {
    for round in 0..<20 {
      net.driver.start(Self.features, queues: 5, size: 64)
      #expect(net.control(4, 0, [2, 0]) == 0)
      #expect(net.network.offer(NetBench.frame(100 + round)) == .noBuffer)
      for pair in 0..<2 { for slot in 0..<4 as Range<UInt16> { net.addBuffer(slot, length: 1000, pair: pair) } }
      for pair in 0..<2 { net.driver.rings[2 * pair].kick() }
      let received = (0..<2).compactMap { net.driver.rings[2 * $0].takeUsed() }
      #expect(received.map(\.length) == [UInt32(112 + round)])
      #expect(net.network.waitingCount == 0)
      for pair in 0..<2 { net.transmit(NetBench.plain, NetBench.frame(60), pair: pair) }
      net.device.setLink(up: false)
      #expect(net.driver.configuration(6, 1) == [0])
      net.transmit(NetBench.plain, NetBench.frame(60))
      #expect(net.transmitRing.usedIndex == 2, "no carrier: used anyway, so that no buffer waits forever")
      net.device.setLink(up: true)
      #expect(net.driver.configuration(6, 1) == [1])
    }
    #expect(net.network.sent.count == 40)
  }
}
