import Backends
import Counters
import Devices
import TestSupport
import Testing

/// An invalid ring: the closure that stores it, and the counter that rises.
struct HostileRing: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let counter: Counter
  let lay: @Sendable (SplitRingDriver) -> Void

  init(_ name: String, _ counter: Counter, _ lay: @escaping @Sendable (SplitRingDriver) -> Void) {
    testDescription = name
    self.counter = counter
    self.lay = lay
  }

  private static func single(
    _ address: UInt64, _ length: UInt32, flags: UInt16 = 0
  ) -> @Sendable (SplitRingDriver) -> Void {
    {
      $0.setDescriptor(0, address, length, flags: flags)
      $0.makeAvailable(0)
    }
  }

  /// Rings of 16 entries, INDIRECT_DESC negotiated, 16 MiB of RAM.
  static let all: [HostileRing] = [
    HostileRing("descriptor that is its own next", .badChain) {
      $0.setDescriptor(0, 0x40_0000, 16, flags: 1, next: 0)
      $0.makeAvailable(0)
    },
    HostileRing("loop over two descriptors", .badChain) {
      $0.setDescriptor(0, 0x40_0000, 16, flags: 1, next: 1)
      $0.setDescriptor(1, 0x40_0000, 16, flags: 1, next: 0)
      $0.makeAvailable(0)
    },
    HostileRing("next beyond the table", .badDescriptor) {
      $0.setDescriptor(0, 0x40_0000, 16, flags: 1, next: 16)
      $0.makeAvailable(0)
    },
    HostileRing("head beyond the table", .badDescriptor) { $0.makeAvailable(16) },
    HostileRing("head 0xFFFF", .badDescriptor) { $0.makeAvailable(0xFFFF) },
    HostileRing("available index ahead by more than the ring", .badIndex) { $0.setAvailableIndex(17) },
    HostileRing("available index behind", .badIndex) { $0.setAvailableIndex(0xFFFF) },
    HostileRing("buffer beyond RAM", .badAddress, single(0x100_0000, 16)),
    HostileRing("buffer over the end of RAM", .badAddress, single(0xFF_FFF8, 16)),
    HostileRing("buffer in the device's own BAR", .badAddress, single(0xE000_0000, 16)),
    HostileRing("buffer that wraps around 2^64", .badAddress, single(0xFFFF_FFFF_FFFF_FFF8, 16)),
    HostileRing("buffer of 4 GiB less one", .badAddress, single(0, 0xFFFF_FFFF)),
    HostileRing("buffer of no bytes", .badAddress, single(0x40_0000, 0)),
    HostileRing("readable behind writable", .badChain) {
      $0.setDescriptor(0, 0x40_0000, 16, flags: 3, next: 1)
      $0.setDescriptor(1, 0x40_0000, 16, flags: 0)
      $0.makeAvailable(0)
    },
    HostileRing("indirect with a next", .badDescriptor, single(0x30_0000, 16, flags: 5)),
    HostileRing("indirect table in an indirect table", .badDescriptor) {
      SplitRingDriver.store($0.bench, 0x30_0000, 0x30_0000, 16, 4, 0)
      $0.setDescriptor(0, 0x30_0000, 16, flags: 4)
      $0.makeAvailable(0)
    },
    HostileRing("indirect table of 17 bytes", .badChain, single(0x30_0000, 17, flags: 4)),
    HostileRing("indirect table of no bytes", .badChain, single(0x30_0000, 0, flags: 4)),
    HostileRing("indirect table of 4 GiB less 16", .badChain, single(0x30_0000, 0xFFFF_FFF0, flags: 4)),
    HostileRing("indirect table beyond RAM", .badAddress, single(0xFFFF_FFFF_FFFF_FFF0, 32, flags: 4)),
    HostileRing("loop in an indirect table", .badChain) {
      SplitRingDriver.store($0.bench, 0x30_0000, 0x40_0000, 16, 1, 1)
      SplitRingDriver.store($0.bench, 0x30_0010, 0x40_0000, 16, 1, 0)
      $0.setDescriptor(0, 0x30_0000, 32, flags: 4)
      $0.makeAvailable(0)
    },
    HostileRing("next beyond an indirect table", .badDescriptor) {
      SplitRingDriver.store($0.bench, 0x30_0000, 0x40_0000, 16, 1, 1)
      $0.setDescriptor(0, 0x30_0000, 16, flags: 4)
      $0.makeAvailable(0)
    },
  ]
}

@Suite("Hostile virtio rings (VIRTIO 1.2, 2.1.2 and 2.7)")
struct VirtioHostileTests {
  private func check(
    _ ring: HostileRing, _ driver: VirtioDriver, queue: Int, restart: () -> Void, works: () -> Bool
  ) {
    let counters = driver.bench.counters
    let kinds: [Counter] = [.badAddress, .badDescriptor, .badChain, .badRequest, .badIndex]
    let before = kinds.map { counters[$0] }
    ring.lay(driver.rings[queue])
    driver.rings[queue].kick()
    for (kind, old) in zip(kinds, before) {
      #expect(counters[kind] == old + (kind == ring.counter ? 1 : 0), "\(kind)")
    }
    #expect(driver.status == 0x4F, "DEVICE_NEEDS_RESET")
    #expect(driver.isr == 2, "a configuration change notification")
    #expect(driver.rings[queue].usedIndex == 0)
    driver.rings[queue].kick()
    #expect(counters[ring.counter] == before[kinds.firstIndex(of: ring.counter)!] + 1, "a broken device does nothing")
    restart()
    #expect(driver.status == 0x0F)
    #expect(works(), "a reset recovers the device")
  }

  @Test("virtio-blk stops, reports it and recovers", arguments: HostileRing.all)
  func block(ring: HostileRing) throws {
    let (block, _) = try BlockBench.withDisk(features: 1 << 28)
    check(
      ring, block.driver, queue: 0, restart: { block.driver.start(1 << 28, queues: 1) },
      works: { block.run(0, writable: 512).status == 0 })
  }

  @Test("virtio-net's transmit queue stops, reports it and recovers", arguments: HostileRing.all)
  func transmit(ring: HostileRing) throws {
    let net = try NetBench.started(1 << 28)
    check(
      ring, net.driver, queue: 1, restart: { net.driver.start(1 << 28, queues: 3) },
      works: {
        net.transmit(NetBench.plain, NetBench.frame(60))
        return net.network.sent.count == 1
      })
  }

  @Test("virtio-net's control queue stops, reports it and recovers", arguments: HostileRing.all)
  func control(ring: HostileRing) throws {
    let features: UInt64 = 1 << 28 | 1 << 17 | 1 << 18
    let net = try NetBench.started(features)
    check(
      ring, net.driver, queue: 2, restart: { net.driver.start(features, queues: 3) },
      works: { net.control(0, 0, [1]) == 0 })
  }

  @Test("virtio-net's receive queue stops when a frame arrives", arguments: HostileRing.all)
  func receive(ring: HostileRing) throws {
    let features: UInt64 = 1 << 28 | NetBench.mergeable
    let net = try NetBench.started(features)
    ring.lay(net.receiveRing)
    net.receiveRing.kick()
    #expect(!net.driver.needsReset)
    #expect(net.network.offer(NetBench.frame(60)) == .discarded)
    #expect(net.bench.counters[ring.counter] == 1)
    #expect(net.driver.status == 0x4F)
    #expect(net.driver.isr == 2)
    #expect(net.network.offer(NetBench.frame(60)) == .discarded)
    #expect(net.bench.counters[ring.counter] == 1)
    net.driver.start(features, queues: 3)
    net.addBuffer(0, length: 1000)
    #expect(net.network.offer(NetBench.frame(60)) == .accepted)
  }

  @Test("INDIRECT without negotiation is a bad descriptor")
  func indirectNotNegotiated() throws {
    let (block, _) = try BlockBench.withDisk(features: 0)
    block.ring.addIndirect([(BlockBench.header, 16, false), (BlockBench.status, 1, true)])
    block.ring.kick()
    #expect(block.bench.counters[.badDescriptor] == 1)
    #expect(block.driver.needsReset)
  }

  @Test(
    "the device does not enable a queue with rings outside RAM or not aligned (2.7)",
    arguments: [
      (0x10_0008, 0x10_4000, 0x10_8000), (0x10_0000, 0x10_4001, 0x10_8000), (0x10_0000, 0x10_4000, 0x10_8002),
      (0x100_0000, 0x10_4000, 0x10_8000), (0x10_0000, 0xFF_FFF0, 0x10_8000), (0x10_0000, 0x10_4000, 0xFF_FFC0),
      (0xFFFF_FFFF_FFFF_FFF0, 0x10_4000, 0x10_8000), (0x10_0000, 0xFFFF_FFFF_FFFF_FFFE, 0x10_8000),
    ] as [(UInt64, UInt64, UInt64)])
  func ringPlaces(descriptors: UInt64, available: UInt64, used: UInt64) throws {
    let (block, _) = try BlockBench.withDisk()
    let driver = block.driver
    driver.status = 0
    driver.negotiate(1 << 32)
    driver.write(0x16, width: 2, 0)
    driver.write(0x18, width: 2, 16)
    driver.write(0x20, width: 8, descriptors)
    driver.write(0x28, width: 8, available)
    driver.write(0x30, width: 8, used)
    driver.write(0x1C, width: 2, 1)
    #expect(driver.read(0x1C, width: 2) == 0)
    #expect(driver.needsReset)
    #expect(block.bench.counters[.badAddress] == 1)
    driver.start(queues: 1)
    #expect(block.run(0, writable: 512).status == 0)
  }

  @Test("a head that is made available repeatedly while in flight uses at most all slots")
  func sameHead() throws {
    let disk = HeldStorage(sectorCount: 64)
    let block = try BlockBench(disk)
    block.driver.start(queues: 1, size: 256)
    block.add(0, writable: 512)
    for _ in 0..<255 { block.ring.makeAvailable(0) }
    block.ring.kick()
    #expect(disk.waiting.count == 256)
    for _ in 0..<10 { block.ring.makeAvailable(0) }
    block.ring.kick()
    #expect(disk.waiting.count == 256)
    #expect(block.bench.counters[.badRequest] == 10)
    #expect(block.ring.usedIndex == 10)
    for _ in 0..<256 { disk.release() }
    block.bench.settle()
    #expect(block.ring.usedIndex == 266)
  }

  @Test("a turn of virtio-net ends after two frames of 2047 segments each, so that other handlers can run")
  func smallestSegments() throws {
    let net = try NetBench.started(NetBench.checksum | NetBench.hostTSO4, size: 64)
    let bytes = [1, 1, 54, 0, 32, 0, 34, 0, 16, 0, 0, 0] + NetBench.frame(65_535)
    net.bench.store(bytes, at: NetBench.transmitData)
    let ring = net.transmitRing
    for slot in 0..<20 as Range<UInt16> {
      ring.add([(NetBench.transmitData, UInt32(bytes.count), false)], head: slot)
    }
    net.bench.bus.write(.memory, 0xE000_3004, width: 2, 1)
    net.bench.loop.runOnce()
    #expect(net.network.sent.count == 2)
    #expect(ring.usedIndex == 2)
    net.bench.settle()
    #expect(net.network.sent.count == 20)
    #expect(ring.usedIndex == 20)
    // The last turn re-enabled kicks.
    net.transmit(NetBench.plain, NetBench.frame(60))
    #expect(net.network.sent.count == 21)
  }

  @Test("any byte anywhere in BAR 0 and 1, at any width, does not stop the VMM")
  func registers() throws {
    var random = SystemRandomNumberGenerator()
    for round in 0..<4 {
      let net = try NetBench.started(NetBench.mergeable)
      for _ in 0..<5000 {
        let width = [1, 2, 4, 8][Int(random.next() % 4)]
        let offset = random.next() % 0x4000
        let place = 0xE000_0000 + (round < 2 ? offset & 0x303F : offset)
        net.bench.bus.write(.memory, place, width: width, random.next())
        _ = net.bench.bus.read(.memory, random.next() % 2 == 0 ? place : 0xE010_0000 + offset % 0x1000, width: width)
        net.bench.bus.write(.memory, 0xE010_0000 + offset % 0x1000, width: width, random.next())
        if random.next() % 16 == 0 { net.bench.settle() }
      }
      net.driver.start(queues: 3)
      net.transmit(NetBench.plain, NetBench.frame(60))
      #expect(net.network.sent.count >= 1)
    }
  }
}
