import Backends
import Devices
import TestSupport
import Testing

@Suite("virtio-net transmission (VIRTIO 1.2, 5.1.6.2)")
struct VirtioNetTransmitTests {
  @Test("the header is removed and the frame sent, however it is split", arguments: [[12], [], [1, 5, 12, 13], [30]])
  func send(cuts: [Int]) throws {
    let net = try NetBench.started()
    let frame = NetBench.frame(60)
    net.transmit(NetBench.plain, frame, cuts: cuts)
    #expect(net.network.sent == [.init(bytes: frame)])
    #expect(net.network.bursts == 1)
    #expect(net.transmitRing.takeUsed()?.length == 0)
    #expect(net.bench.counters[.framesSent] == 1)
    #expect(net.bench.counters[.bytesSent] == 60)
    #expect(net.bench.counters[.bytesCopied] == 0)
  }

  @Test("checksum and segmentation pass to the backend as the header says")
  func offloads() throws {
    let net = try NetBench.started(NetBench.checksum | NetBench.hostTSO4 | 1 << 12)
    let frame = NetBench.frame(4000)
    net.transmit([1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0], frame)
    net.transmit([1, 1, 54, 0, 0xB4, 0x05, 34, 0, 16, 0, 0, 0], frame)
    net.transmit([1, 0x84, 74, 0, 0xA0, 0x05, 54, 0, 16, 0, 0, 0], frame)
    let partial = PartialChecksum(start: 34, offset: 16)
    #expect(
      net.network.sent == [
        .init(bytes: frame, checksum: partial),
        .init(bytes: frame, checksum: partial, segmentation: .init(kind: .tcp4, segmentSize: 1460, headerLength: 54)),
        .init(
          bytes: frame, checksum: PartialChecksum(start: 54, offset: 16),
          segmentation: .init(kind: .tcp6, segmentSize: 1440, headerLength: 74)),
      ])
  }

  @Test(
    "a frame with an invalid header is dropped and counted",
    arguments: [
      [1, 0, 0, 0, 0, 0, 60, 0, 16, 0, 0, 0],  // checksum beyond the frame
      [1, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
      [1, 1, 54, 0, 0, 0, 34, 0, 16, 0, 0, 0],  // segments of 0 bytes
      [0, 1, 54, 0, 0xB4, 5, 34, 0, 16, 0, 0, 0],  // segmentation without a checksum
      [1, 3, 54, 0, 0xB4, 5, 34, 0, 6, 0, 0, 0],  // UDP fragmentation was not negotiated
      [1, 0x7F, 0, 0, 1, 0, 34, 0, 16, 0, 0, 0],
    ] as [[UInt8]])
  func malformed(header: [UInt8]) throws {
    let net = try NetBench.started(NetBench.checksum | NetBench.hostTSO4 | 1 << 12)
    net.transmit(header, NetBench.frame(60))
    #expect(net.network.sent == [])
    #expect(net.bench.counters[.dropsMalformed] == 1)
    #expect(net.transmitRing.takeUsed()?.length == 0)
    #expect(!net.driver.needsReset)
  }

  @Test("frames shorter than an Ethernet header or longer than 64 KiB are dropped")
  func sizes() throws {
    let net = try NetBench.started()
    net.transmit(NetBench.plain, [])
    net.transmit(Array(NetBench.plain.prefix(11)), [], cuts: [])
    net.transmit(NetBench.plain, Array(NetBench.frame(60).prefix(13)))
    net.transmit(NetBench.plain, NetBench.frame(65_554))
    #expect(net.network.sent == [])
    #expect(net.bench.counters[.dropsMalformed] == 4)
    net.transmit(NetBench.plain, NetBench.frame(14))
    net.transmit(NetBench.plain, NetBench.frame(65_553))
    #expect(net.network.sent.map(\.bytes.count) == [14, 65_553])
  }

  @Test("a frame that uses an offload without negotiation is dropped")
  func notNegotiated() throws {
    let net = try NetBench.started()
    net.transmit([1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0], NetBench.frame(60))
    net.transmit([1, 1, 54, 0, 0xB4, 5, 34, 0, 16, 0, 0, 0], NetBench.frame(4000))
    #expect(net.network.sent == [])
    #expect(net.bench.counters[.dropsMalformed] == 2)
  }

  @Test("DATA_VALID in a sent header is not passed on")
  func dataValid() throws {
    let net = try NetBench()
    let receiver = FrameKeeper()
    let backend = PassingBackend(receiver)
    let device = try VirtioNet(
      name: "nic2", macAddress: [2, 0, 0, 0, 0, 2], backend: backend, memory: net.bench.memory, loop: net.bench.loop,
      counters: net.bench.counters)
    net.bench.plug(device, number: 1)
    for bar in 0..<2 { device.assign(bar: bar, to: 0xE020_0000 + UInt32(bar) << 20) }
    let driver = VirtioDriver(net.bench, base: 0xE020_0000)
    driver.start(queues: 2)
    net.bench.store([2] + Array(NetBench.plain.dropFirst()) + NetBench.frame(60), at: NetBench.transmitData)
    driver.rings[1].add([(NetBench.transmitData, 72, false)])
    driver.rings[1].kick()
    #expect(receiver.verified == [false])
  }

  @Test("dependencies of features (5.1.3.1)")
  func dependencies() throws {
    let net = try NetBench()
    for features in [
      NetBench.hostTSO4, 1 << 12, NetBench.guestTSO4, NetBench.guestTSO6, 1 << 18, 1 << 19, 1 << 23, 1 << 2,
    ] as [UInt64] {
      net.driver.status = 0
      #expect(!net.driver.negotiate(1 << 32 | features))
    }
    net.driver.status = 0
    #expect(net.driver.negotiate(net.driver.deviceFeatures))
  }

  @Test("only offloads that the backend accepts are offered, and none when turned off")
  func offers() throws {
    let all: UInt64 = 0x1983
    #expect(try NetBench().driver.deviceFeatures & all == all)
    #expect(try NetBench(offloads: []).driver.deviceFeatures & all == 0x182)
    #expect(try NetBench(offloads: [.checksum, .tso4]).driver.deviceFeatures & all == 0x983)
    #expect(try NetBench(offersOffloads: false).driver.deviceFeatures & (all | 1 << 2) == 0)
  }

  @Test("a link that is down sends nothing")
  func linkDown() throws {
    let net = try NetBench.started(1 << 16)
    net.device.setLink(up: false)
    net.transmit(NetBench.plain, NetBench.frame(60))
    #expect(net.network.sent == [])
    #expect(net.bench.counters[.dropsFiltered] == 1)
    net.device.setLink(up: true)
    net.transmit(NetBench.plain, NetBench.frame(60))
    #expect(net.network.sent.count == 1)
  }

  @Test("one kick sends a burst of more than a batch, with one interrupt per batch")
  func burst() throws {
    let net = try NetBench.started(size: 128)
    net.bench.store(NetBench.plain + NetBench.frame(60), at: NetBench.transmitData)
    for slot in 0..<128 as Range<UInt16> { net.transmitRing.add([(NetBench.transmitData, 72, false)], head: slot) }
    net.transmitRing.kick()
    #expect(net.network.sent.count == 128)
    #expect(net.network.bursts == 2)
    #expect(net.bench.counters[.interrupts] == 2)
  }
}

/// A receiver that records the checksum fields of its frames.
final class FrameKeeper: FrameReceiver, @unchecked Sendable {
  private(set) var verified: [Bool] = []
  let acceptedOffloads: NetworkOffloads = []
  func receive(_ frame: Frame) -> FrameDelivery {
    verified.append(frame.isChecksumVerified)
    return .accepted
  }
  func receivedBurst() {}
}

/// A wire to one receiver.
final class PassingBackend: NetworkBackend {
  let kind = "wire"
  let acceptedOffloads: NetworkOffloads = []
  private let receiver: FrameKeeper
  init(_ receiver: FrameKeeper) { self.receiver = receiver }
  func connect(_ receiver: (any FrameReceiver)?) {}
  func send(_ frame: Frame) { _ = receiver.receive(frame) }
  func sentBurst() {}
  func receiverReady() {}
}
