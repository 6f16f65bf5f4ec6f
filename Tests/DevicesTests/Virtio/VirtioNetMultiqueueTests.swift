import Backends
import Devices
import TestSupport
import Testing

@Suite("virtio-net with several queue pairs (VIRTIO 1.2, 5.1.2, 5.1.3, 5.1.6.5.5)")
struct VirtioNetMultiqueueTests {
  @Test("one pair: MQ is not offered, the control queue is number 2", arguments: [0, 1])
  func onePair(queuePairs: Int) throws {
    let net = try NetBench(queuePairs: queuePairs)
    #expect(net.driver.deviceFeatures & 1 << 22 == 0)
    #expect(net.driver.configuration(8, 2) == [1, 0])
    #expect(net.driver.read(0x12, width: 2) == 3)
  }

  @Test("four pairs: MQ, max_virtqueue_pairs, nine queues, and a vector for each and the configuration")
  func fourPairs() throws {
    let net = try NetBench(queuePairs: 4)
    #expect(net.driver.deviceFeatures & 1 << 22 != 0)
    #expect(net.driver.configuration(8, 2) == [4, 0])
    #expect(net.driver.read(0x12, width: 2) == 9)
    let table = try #require(net.device.capability(0x11))
    #expect(net.device.readConfiguration(table + 2, width: 2) & 0x7FF == 9, "the table's size less one")
    #expect(!net.driver.negotiate(1 << 32 | 1 << 22), "5.1.3.1: MQ needs CTRL_VQ")
    #expect(try NetBench(queuePairs: 100).driver.configuration(8, 2) == [8, 0])
  }

  @Test("5.1.2: without MQ, the control queue is queue 2, and there are no queues behind it")
  func withoutMultiqueue() throws {
    let net = try NetBench(queuePairs: 4)
    net.driver.start(1 << 17 | 1 << 18, queues: 3)
    #expect(net.control(0, 0, [1]) == 0)
    #expect(net.control(4, 0, [1, 0]) == 1)
    net.addBuffer(0, length: 1526)
    #expect(net.network.offer(NetBench.frame(60)) == .accepted)
    net.transmit(NetBench.plain, NetBench.frame(60))
    #expect(net.network.sent.count == 1)

    net.driver.start(1 << 17, queues: 9)
    for pair in 1..<4 { net.transmit(NetBench.plain, NetBench.frame(60), pair: pair) }
    #expect(net.network.sent.count == 1)
    #expect(net.control(0, 0, [1]) == 0xEE, "there is no control queue at 8")
    #expect(!net.driver.needsReset)
  }

  @Test("5.1.2: with MQ, the control queue is behind all pairs, and queue 2 receives")
  func controlQueue() throws {
    let multi = try MultiqueueBench(isFilled: false)
    #expect(multi.setPairs(1) == 0)
    let net = multi.net
    net.bench.store([4, 0, 2, 0], at: 0x20_0000)
    net.driver.rings[2].add([(0x20_0000, 4, false), (0x20_0010, 1, true)])
    net.driver.rings[2].kick()
    #expect(net.driver.rings[2].takeUsed() == nil)
  }

  @Test("only one pair receives until the driver enables more, on whichever pair it sends")
  func startsWithOne() throws {
    let multi = try MultiqueueBench()
    for peer in 1...20 as ClosedRange<UInt16> {
      multi.send(FlowPacket(peer: peer), pair: 3)
      #expect(multi.answer(FlowPacket(peer: peer)) == [0])
    }
    #expect(multi.net.network.sent.count == 20, "frames on a pair that does not receive are still sent")
    // Steering learned nothing from these frames.
    #expect(multi.setPairs(4) == 0)
    let pairs = Set((1...20).flatMap { multi.answer(FlowPacket(peer: $0)) })
    #expect(pairs == [0, 1, 2, 3])
  }

  @Test("VQ_PAIRS_SET accepts 1 to max_virtqueue_pairs in two bytes; anything else is ERR and changes nothing")
  func pairCounts() throws {
    let multi = try MultiqueueBench(pairs: 4)
    multi.send(FlowPacket(peer: 1), pair: 3)
    for data in [[0, 0], [5, 0], [8, 0], [0, 1], [4, 1], [0, 0x80], [0xFF, 0xFF], [], [1], [1, 0, 0]] as [[UInt8]] {
      #expect(multi.net.control(4, 0, data) == 1, "\(data)")
    }
    for command in [1, 2, 0xFF] as [UInt8] { #expect(multi.net.control(4, command, [1, 0]) == 1) }
    #expect(multi.net.bench.counters[.badRequest] == 13)
    #expect(multi.answer(FlowPacket(peer: 1)) == [3])
    for count in 1...4 as ClosedRange<UInt8> { #expect(multi.setPairs(count) == 0) }
  }

  @Test("5.1.6.5.5.1: VQ_PAIRS_SET needs enabled queues, which the driver may enable in any order")
  func notEnabled() throws {
    let net = try NetBench(queuePairs: 4)
    let driver = net.driver
    driver.negotiate(1 << 32 | 1 << 22 | 1 << 17)
    let control = driver.enableQueue(8, size: 16)
    for queue in [7, 1, 6, 0, 3] { driver.enableQueue(queue, size: 16) }
    driver.status = 0x0F
    func setPairs(_ count: UInt8) -> UInt8 {
      net.bench.store([4, 0, count, 0], at: NetBench.controlData)
      control.add([(NetBench.controlData, 4, false), (NetBench.controlData + 8, 1, true)])
      control.kick()
      return net.bench.bytes(at: NetBench.controlData + 8, count: 1)[0]
    }
    #expect(setPairs(1) == 0)
    #expect((2...4).map(setPairs) == [1, 1, 1])
    driver.enableQueue(2, size: 16)
    #expect((2...4).map(setPairs) == [0, 1, 1])
    for queue in [5, 4] { driver.enableQueue(queue, size: 16) }
    #expect(setPairs(4) == 0)
  }

  @Test("each queue has its own vector: a burst over the pairs interrupts each pair once")
  func vectors() throws {
    let multi = try MultiqueueBench(pairs: 4)
    for pair in 0..<4 { multi.send(FlowPacket(peer: UInt16(pair)), pair: pair) }
    #expect(multi.net.messages.signalled == [9, 2, 4, 6, 8])
    for pair in 0..<4 { #expect(multi.answer(FlowPacket(peer: UInt16(pair))) == [pair]) }
    #expect(multi.net.messages.signalled.suffix(4) == [1, 3, 5, 7])
    #expect(multi.net.bench.line.changes == [])
  }

  @Test("a reset returns to one pair and forgets flows")
  func reset() throws {
    let multi = try MultiqueueBench(pairs: 4)
    for peer in 1...20 as ClosedRange<UInt16> { multi.send(FlowPacket(peer: peer), pair: 1) }
    multi.net.driver.start(1 << 22 | 1 << 17 | 1 << 15, queues: 9, size: 64)
    for pair in 0..<4 { for slot in 0..<64 { multi.fill(pair, UInt16(slot)) } }
    #expect((1...20).flatMap { multi.answer(FlowPacket(peer: $0)) } == Array(repeating: 0, count: 20))
    #expect(multi.setPairs(4) == 0)
    #expect(Set((1...20).flatMap { multi.answer(FlowPacket(peer: $0)) }) == [0, 1, 2, 3])
  }
}
