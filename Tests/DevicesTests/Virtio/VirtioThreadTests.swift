import Backends
import Counters
import Devices
import EventLoop
import TestSupport
import Testing

@Suite("virtio with the loop on its own thread", .timeLimit(.minutes(10)))
struct VirtioThreadTests {
  @Test("a driver that resets while requests run never hangs, and works afterwards")
  func resets() throws {
    let (block, _) = try BlockBench.withDisk()
    block.bench.loop.start()
    defer { block.bench.loop.stop() }
    for round in 0..<200 {
      for head in [0, 4, 8, 12] as [UInt16] { block.add(0, sector: UInt64(head), writable: 512, head: head) }
      block.bench.bus.write(.memory, 0xE000_3000, width: 2, 0)
      if round % 2 == 0 { while block.ring.usedIndex == 0 {} }
      block.driver.status = 0
      while block.driver.status != 0 {}
      block.driver.negotiate(1 << 32)
      let ring = block.driver.enableQueue(0, size: 16)
      #expect(ring.usedIndex == 0)
      block.driver.status = 0x0F
      // The bench's ring starts over with the device's.
      block.ring.restart()
      #expect(!block.driver.needsReset)
    }
    block.add(8, writable: 20)
    block.bench.bus.write(.memory, 0xE000_3000, width: 2, 0)
    while block.ring.usedIndex == 0 {}
    #expect(block.statusByte == 0)
  }

  @Test("two NICs on one switch send to each other at the same time, and no frame is lost")
  func twoNICs() throws {
    let bench = try DeviceBench()
    let networkSwitch = NetworkSwitch(loop: bench.loop)
    let ports = (0..<2).map { networkSwitch.makePort(name: "port\($0)") }
    var nics: [VirtioNet] = []
    var drivers: [VirtioDriver] = []
    for index in 0..<2 {
      let nic = try VirtioNet(
        name: "nic\(index)", macAddress: [2, 0, 0, 0, 0, UInt8(index)], backend: ports[index], memory: bench.memory,
        loop: bench.loop, counters: Counters(owner: "nic\(index)"))
      bench.plug(nic, number: index)
      let base = 0xE000_0000 + UInt64(index) << 21
      for bar in 0..<2 { nic.assign(bar: bar, to: UInt32(base) + UInt32(bar) << 20) }
      let driver = VirtioDriver(bench, base: base, memory: 0x10_0000 + UInt64(index) << 20)
      driver.start(1 << 15, queues: 2, size: 256)
      nics.append(nic)
      drivers.append(driver)
    }
    bench.loop.start()
    defer { bench.loop.stop() }
    for (index, driver) in drivers.enumerated() {
      let data = 0x80_0000 + UInt64(index) << 21
      for slot in 0..<256 as Range<UInt16> {
        driver.rings[0].add([(data + UInt64(slot) * 2048, 2048, true)], head: slot)
      }
      bench.bus.write(.memory, driver.base + 0x3000, width: 2, 0)
      let frame = NetBench.plain + NetBench.frame(1000, to: [2, 0, 0, 0, 0, UInt8(1 - index)])
      bench.store(frame, at: 0x60_0000 + UInt64(index) << 16)
      for slot in 0..<256 as Range<UInt16> {
        driver.rings[1].add([(0x60_0000 + UInt64(index) << 16, UInt32(frame.count), false)], head: slot)
        bench.bus.write(.memory, driver.base + 0x3004, width: 2, 1)
      }
    }
    for driver in drivers { while driver.rings[1].usedIndex != 256 || driver.rings[0].usedIndex != 256 {} }
    #expect(bench.bytes(at: 0x80_0000 + 12, count: 1000) == NetBench.frame(1000, to: [2, 0, 0, 0, 0, 0]))
    for nic in nics {
      #expect(nic.counters[.framesReceived] == 256)
      #expect(nic.counters[.framesSent] == 256)
    }
  }
}
