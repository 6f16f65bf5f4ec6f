import Backends
import Devices
import TestSupport
import Testing

@Suite("virtio-net reception (VIRTIO 1.2, 5.1.6.3 and 5.1.6.4)")
struct VirtioNetReceiveTests {
  @Test("a frame lands behind a header of 12 bytes with num_buffers 1", arguments: [0, NetBench.mergeable])
  func receive(features: UInt64) throws {
    let net = try NetBench.started(features)
    net.addBuffer(0, length: 1526)
    net.receiveRing.kick()
    let frame = NetBench.frame(100)
    #expect(net.network.offer(frame) == .accepted)
    #expect(net.receiveRing.takeUsed()! == (0, 112))
    #expect(net.buffer(0, 113) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0] + frame + [0xEE])
    #expect(net.bench.line.isAsserted)
    #expect(net.bench.counters[.framesReceived] == 1)
    #expect(net.bench.counters[.bytesReceived] == 100)
    #expect(net.bench.counters[.bytesCopied] == 100)
  }

  @Test("5.1.6.4: a frame spans mergeable buffers, and the first header gives their number")
  func merged() throws {
    let net = try NetBench.started(NetBench.mergeable)
    // The first header is split over two descriptors in the middle of num_buffers.
    net.receiveRing.add([(NetBench.receiveData, 11, true), (NetBench.receiveData + 0x100, 53, true)], head: 0)
    net.addBuffer(2, length: 50)
    net.addBuffer(3, length: 1000)
    net.addBuffer(4, length: 1000)
    let frame = NetBench.frame(200)
    net.network.offer(frame)
    #expect(net.receiveRing.takeUsed()! == (0, 64))
    #expect(net.receiveRing.takeUsed()! == (2, 50))
    #expect(net.receiveRing.takeUsed()! == (3, 98))
    #expect(net.receiveRing.takeUsed() == nil)
    #expect(net.buffer(0, 11) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3])
    let first = net.bench.bytes(at: NetBench.receiveData + 0x100, count: 53)
    #expect(first[0] == 0)
    #expect(Array(first[1...]) + net.buffer(2, 50) + net.buffer(3, 98) == frame)
    #expect(net.bench.counters[.interrupts] == 1)
  }

  @Test("5.1.4.1: a driver that negotiated MTU gets no longer packet, except for a VLAN tag or a large frame")
  func mtu() throws {
    let net = try NetBench.started(NetBench.mergeable | 1 << 3 | NetBench.guestChecksum | NetBench.guestTSO4)
    for slot in 0..<4 as Range<UInt16> { net.addBuffer(slot, length: 4096) }
    #expect(net.network.offer(NetBench.frame(1400 + 18)) == .accepted)
    #expect(net.network.offer(NetBench.frame(1400 + 19)) == .discarded)
    #expect(net.bench.counters[.dropsFiltered] == 1)
    let segments = Segmentation(kind: .tcp4, segmentSize: 1000, headerLength: 54)
    #expect(
      net.network.offer(NetBench.frame(3000), checksum: .init(start: 34, offset: 16), segmentation: segments)
        == .accepted)
    let other = try NetBench.started(NetBench.mergeable)
    other.addBuffer(0, length: 4096)
    #expect(other.network.offer(NetBench.frame(1400 + 19)) == .accepted)
  }

  @Test("without mergeable buffers, a frame that does not fit is dropped, and the buffer returns empty")
  func tooSmall() throws {
    let net = try NetBench.started()
    net.addBuffer(0, length: 111)
    net.addBuffer(1, length: 112)
    #expect(net.network.offer(NetBench.frame(100)) == .discarded)
    #expect(net.receiveRing.takeUsed()! == (0, 0))
    #expect(net.bench.counters[.badRequest] == 1)
    #expect(net.bench.counters[.dropsMalformed] == 1)
    #expect(net.bench.line.isAsserted)
    #expect(net.network.offer(NetBench.frame(100)) == .accepted)
    #expect(net.receiveRing.takeUsed()! == (1, 112))
  }

  @Test("an unusable buffer (no room behind the header, or not writable) is returned with those before it")
  func unusable() throws {
    let net = try NetBench.started(NetBench.mergeable)
    net.addBuffer(0, length: 12)
    #expect(net.network.offer(NetBench.frame(100)) == .discarded)
    #expect(net.receiveRing.takeUsed()! == (0, 0))
    net.addBuffer(1, length: 62)
    net.receiveRing.add([(NetBench.receiveData, 500, false)], head: 2)
    #expect(net.network.offer(NetBench.frame(100)) == .discarded)
    #expect(net.receiveRing.takeUsed()! == (1, 0))
    #expect(net.receiveRing.takeUsed()! == (2, 0))
    #expect(net.bench.counters[.badRequest] == 2)
  }

  @Test("without buffers a burst waits, and its tail arrives with new buffers, without further traffic")
  func tailOfBurst() throws {
    for features in [0, NetBench.mergeable, 1 << 29 | NetBench.mergeable] as [UInt64] {
      let net = try NetBench.started(features)
      net.addBuffer(0, length: 1526)
      net.receiveRing.kick()
      #expect(net.network.offer(NetBench.frame(60)) == .accepted)
      #expect(net.network.offer(NetBench.frame(61)) == .noBuffer)
      #expect(net.network.offer(NetBench.frame(62)) == .noBuffer)
      if features & 1 << 29 != 0 {
        #expect(net.receiveRing.availableEvent == 1, "the device requests a kick at the next buffer")
      } else {
        #expect(net.receiveRing.usedFlags == 0)
      }
      _ = net.receiveRing.takeUsed()
      _ = net.driver.isr
      net.receiveRing.setUsedEvent(1)
      net.addBuffer(1, length: 1526)
      net.receiveRing.kick()
      #expect(net.receiveRing.takeUsed()?.length == 73)
      #expect(net.network.waitingCount == 1)
      net.addBuffer(2, length: 1526)
      net.receiveRing.kick()
      #expect(net.receiveRing.takeUsed()?.length == 74)
      #expect(net.network.waitingCount == 0)
      #expect(net.bench.line.isAsserted)
    }
  }

  @Test("a frame that needs more buffers than available uses none")
  func partial() throws {
    let net = try NetBench.started(NetBench.mergeable | 1 << 29)
    net.addBuffer(0, length: 50)
    net.addBuffer(1, length: 50)
    #expect(net.network.offer(NetBench.frame(200)) == .noBuffer)
    #expect(net.receiveRing.usedIndex == 0)
    net.addBuffer(2, length: 1000)
    net.receiveRing.kick()
    #expect(net.network.waitingCount == 0)
    #expect((0..<3).compactMap { _ in net.receiveRing.takeUsed()?.length } == [50, 50, 112])
    #expect(net.buffer(0, 12)[10] == 3)
  }

  @Test("a frame that the whole ring cannot hold is dropped and does not block later ones")
  func largerThanRing() throws {
    let net = try NetBench.started(NetBench.mergeable, size: 2)
    net.addBuffer(0, length: 100)
    net.addBuffer(1, length: 100)
    #expect(net.network.offer(NetBench.frame(200)) == .discarded)
    #expect(net.bench.counters[.dropsNoReceiveBuffer] == 1)
    #expect(net.network.offer(NetBench.frame(80)) == .accepted)
  }

  @Test("5.1.6.4: a driver that negotiated them gets checksum and segmentation fields")
  func offloads() throws {
    let features = NetBench.guestChecksum | NetBench.guestTSO4 | NetBench.mergeable
    let net = try NetBench.started(features)
    #expect(net.device.acceptedOffloads == [.checksum, .tso4])
    for slot in 0..<4 as Range<UInt16> { net.addBuffer(slot, length: 4096) }
    let frame = NetBench.frame(3000)
    net.network.offer(frame, checksum: .init(start: 34, offset: 16))
    net.network.offer(
      frame, checksum: .init(start: 34, offset: 16),
      segmentation: .init(kind: .tcp4, segmentSize: 1460, headerLength: 54))
    net.network.offer(frame, isVerified: true)
    #expect(net.buffer(0, 12) == [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 1, 0])
    #expect(net.buffer(1, 12) == [1, 1, 54, 0, 0xB4, 5, 34, 0, 16, 0, 1, 0])
    #expect(net.buffer(2, 12) == [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0])
    // Without GUEST_CSUM no flag may be set.
    net.driver.start(queues: 3)
    #expect(net.device.acceptedOffloads == [])
    net.addBuffer(0, length: 4096)
    net.network.offer(frame, isVerified: true)
    #expect(net.buffer(0, 12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0])
  }

  @Test("before DRIVER_OK, after a reset and with the link down, frames are dropped and counted, never held")
  func notReady() throws {
    let net = try NetBench()
    #expect(net.network.offer(NetBench.frame(60)) == .discarded)
    net.driver.start(1 << 16, queues: 3)
    net.device.setLink(up: false)
    #expect(net.network.offer(NetBench.frame(60)) == .discarded)
    net.driver.status = 0
    #expect(net.network.offer(NetBench.frame(60)) == .discarded)
    #expect(net.bench.counters[.dropsFiltered] == 3)
  }
}
