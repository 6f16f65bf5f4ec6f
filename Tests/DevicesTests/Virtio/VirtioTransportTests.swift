import Backends
import Counters
import Devices
import TestSupport
import Testing

@Suite("virtio over PCI (VIRTIO 1.2, 4.1)")
struct VirtioTransportTests {
  @Test("4.1.2: a modern device has the IDs 0x1AF4 and 0x1040 plus its type, and revision 1")
  func identity() throws {
    let (block, _) = try BlockBench.withDisk()
    #expect(block.device.readConfiguration(0x00, width: 4) == 0x1042_1AF4)
    #expect(block.device.readConfiguration(0x08, width: 1) == 1)
    #expect(block.device.readConfiguration(0x3D, width: 1) == 1)
    let net = try NetBench()
    #expect(net.device.readConfiguration(0x00, width: 4) == 0x1041_1AF4)
  }

  @Test(
    "4.1.4: capabilities locate the structures in BAR 0",
    arguments: [
      (type: 1, offset: 0x0000, length: 0x38, size: 16), (2, 0x3000, 4, 20), (3, 0x1000, 1, 16),
      (4, 0x2000, 0x1000, 16), (5, 0, 0, 20),
    ] as [(type: UInt32, offset: UInt32, length: UInt32, size: UInt32)])
  func capabilities(type: UInt32, offset: UInt32, length: UInt32, size: UInt32) throws {
    let (block, _) = try BlockBench.withDisk()
    let device = block.device
    let place = try #require(device.capability(0x09) { device.readConfiguration($0 + 3, width: 1) == type })
    #expect(device.readConfiguration(place + 2, width: 1) == size)
    #expect(device.readConfiguration(place + 4, width: 1) == 0)
    #expect(device.readConfiguration(place + 8, width: 4) == offset)
    #expect(device.readConfiguration(place + 12, width: 4) == length)
    if type == 2 { #expect(device.readConfiguration(place + 16, width: 4) == 4) }
  }

  @Test("4.1.4.3: a fresh device; queue registers follow queue_select, and a missing queue has size 0")
  func common() throws {
    let block = try BlockBench(MemoryStorage(sectorCount: 8, counters: Counters(owner: "disk")), queueCount: 2)
    let driver = block.driver
    #expect(driver.status == 0)
    #expect(driver.read(0x10, width: 2) == 0xFFFF)
    #expect(driver.read(0x12, width: 2) == 2)
    for queue in 0..<2 as Range<UInt64> {
      driver.write(0x16, width: 2, queue)
      #expect(driver.read(0x16, width: 2) == queue)
      #expect(driver.read(0x18, width: 2) == 256)
      #expect(driver.read(0x1A, width: 2) == 0xFFFF)
      #expect(driver.read(0x1C, width: 2) == 0)
      #expect(driver.read(0x1E, width: 2) == queue)
      driver.write(0x20, width: 8, 0x1111_2222_3333_0000 + queue)
      driver.write(0x28, width: 4, 0x4444_0000)
      driver.write(0x2C, width: 4, 0x5555_0000)
      #expect(driver.read(0x20, width: 4) == 0x3333_0000 + queue)
      #expect(driver.read(0x24, width: 4) == 0x1111_2222)
      #expect(driver.read(0x28, width: 8) == 0x5555_0000_4444_0000)
    }
    driver.write(0x16, width: 2, 2)
    #expect(driver.read(0x18, width: 2) == 0)
    #expect(driver.read(0x20, width: 8) == 0)
    driver.write(0x1C, width: 2, 1)
    #expect(driver.read(0x1C, width: 2) == 0)
  }

  @Test("4.1.5.1.3: a queue's size is a power of two up to the offered one", arguments: [0, 3, 255, 257, 512, 0xFFFF])
  func badSize(size: UInt64) throws {
    let (block, _) = try BlockBench.withDisk()
    block.driver.status = 0
    block.driver.write(0x16, width: 2, 0)
    block.driver.write(0x18, width: 2, size)
    #expect(block.driver.read(0x18, width: 2) == 256)
    #expect(block.bench.counters[.badRequest] == 1)
  }

  @Test("3.1.1: features that were not offered are refused, and so is a driver without VERSION_1 (6.1)")
  func refusedFeatures() throws {
    let (block, _) = try BlockBench.withDisk()
    let driver = block.driver
    let offered = driver.deviceFeatures
    #expect(offered & (1 << 32 | 1 << 28 | 1 << 29) == 1 << 32 | 1 << 28 | 1 << 29)
    #expect(offered & (1 << 24 | 1 << 33 | 1 << 34) == 0, "no NOTIFY_ON_EMPTY, ACCESS_PLATFORM or packed rings")
    driver.status = 0
    #expect(!driver.negotiate(1 << 32 | 1 << 34))
    #expect(driver.status == 0x03)
    driver.write(0x08, width: 4, 1)
    driver.write(0x0C, width: 4, 1)
    driver.status = 0x0B
    #expect(driver.status == 0x0B, "the driver may choose less and try again")
    driver.status = 0
    #expect(!driver.negotiate(0))
    #expect(block.bench.counters[.badRequest] == 2)
    driver.status = 0
    #expect(driver.negotiate(1 << 32))
    driver.write(0x08, width: 4, 0)
    driver.write(0x0C, width: 4, 0xFFFF_FFFF)
    #expect(driver.read(0x0C, width: 4) == 0, "features are fixed once FEATURES_OK is set")
    driver.write(0x00, width: 4, 2)
    #expect(driver.read(0x04, width: 4) == 0, "there is no third half")
  }

  @Test("2.1.1: status bits are only added; queues can be enabled after FEATURES_OK; 0 resets all")
  func statusAndReset() throws {
    let (block, _) = try BlockBench.withDisk()
    let driver = block.driver
    driver.status = 0x01
    #expect(driver.status == 0x0F)
    driver.status = 0xC0
    #expect(driver.status == 0x8F, "only the device sets DEVICE_NEEDS_RESET")
    driver.status = 0
    #expect(driver.status == 0)
    driver.write(0x16, width: 2, 0)
    #expect(driver.read(0x1C, width: 2) == 0)
    #expect(driver.read(0x20, width: 8) == 0)
    #expect(driver.read(0x18, width: 2) == 256)
    driver.enableQueue(0, size: 16)
    #expect(driver.read(0x1C, width: 2) == 0, "not before FEATURES_OK")
  }

  @Test("2.4.1: a change of the configuration by the device changes config_generation and interrupts")
  func generation() throws {
    let net = try NetBench()
    net.driver.start(1 << 16, queues: 2)
    let before = net.driver.generation
    #expect(net.driver.configuration(6, 2) == [1, 0])
    net.network.setLink(up: false)
    #expect(net.driver.generation == before &+ 1)
    #expect(net.driver.configuration(6, 2) == [0, 0])
    #expect(net.bench.line.isAsserted)
    #expect(net.driver.isr == 2)
    #expect(!net.bench.line.isAsserted)
    net.network.setLink(up: false)
    #expect(net.driver.generation == before &+ 1, "no change")
  }

  @Test("4.1.4.3.2: a reset reads as done only after the request in flight has ended")
  func resetInFlight() throws {
    let disk = HeldStorage(sectorCount: 64)
    let block = try BlockBench(disk)
    block.driver.start(queues: 1)
    block.add(0, writable: 512)
    block.ring.kick()
    #expect(disk.waiting.count == 1)
    block.driver.status = 0
    #expect(block.driver.status != 0)
    block.driver.status = 0x01
    disk.release(fill: 0x5A)
    block.bench.settle()
    #expect(block.driver.status == 0)
    #expect(block.ring.usedIndex == 0, "the device does not report the request")
    #expect(block.statusByte == 0xEE)
    #expect(!block.bench.line.isAsserted)
    // The device works after the reset.
    block.driver.start(queues: 1)
    block.add(0, writable: 512)
    block.ring.kick()
    disk.release(fill: 0x77)
    block.bench.settle()
    #expect(block.ring.takeUsed()?.length == 513)
    #expect(block.bench.bytes(at: BlockBench.data, count: 1) == [0x77])
  }

  @Test("kicks wait for bus mastering, and are not lost")
  func busMaster() throws {
    let (block, _) = try BlockBench.withDisk()
    block.device.writeConfiguration(0x04, 0x0002, width: 2)
    block.add(8, writable: 20)
    block.ring.kick()
    #expect(block.ring.takeUsed() == nil)
    block.device.writeConfiguration(0x04, 0x0006, width: 2)
    block.bench.settle()
    #expect(block.ring.takeUsed() != nil)
  }

  @Test("requests from before DRIVER_OK are served without a kick")
  func beforeDriverOK() throws {
    let block = try BlockBench(MemoryStorage(sectorCount: 8, counters: Counters(owner: "disk")))
    block.driver.status = 0
    block.driver.negotiate(1 << 32)
    let ring = block.driver.enableQueue(0, size: 16)
    block.setHeader(8, sector: 0)
    ring.add([(BlockBench.header, 16, false), (BlockBench.data, 20, true), (BlockBench.status, 1, true)])
    ring.kick()
    #expect(ring.usedIndex == 0)
    block.driver.status = 0x0F
    block.bench.settle()
    #expect(ring.usedIndex == 1)
  }

  @Test("4.1.4.9: BAR 0 through configuration space")
  func window() throws {
    let (block, _) = try BlockBench.withDisk()
    let device = block.device
    let place = try #require(device.capability(0x09) { device.readConfiguration($0 + 3, width: 1) == 5 })
    func aim(_ offset: UInt32, _ length: UInt32, bar: UInt32 = 0) {
      device.writeConfiguration(place + 4, bar, width: 1)
      device.writeConfiguration(place + 8, offset, width: 4)
      device.writeConfiguration(place + 12, length, width: 4)
    }
    aim(0x12, 2)
    #expect(device.readConfiguration(place + 16, width: 2) == 1)
    #expect(device.readConfiguration(place + 16, width: 4) == 1)
    aim(0x00, 4)
    device.writeConfiguration(place + 16, 1, width: 4)
    aim(0x04, 4)
    #expect(device.readConfiguration(place + 16, width: 4) == 1)
    aim(0x14, 1)
    device.writeConfiguration(place + 16, 0, width: 1)
    #expect(block.driver.status == 0, "a write of the status resets")
    // 4.1.4.9.2: other lengths, other BARs and offsets outside do nothing.
    for (offset, length, bar) in [(0x12, 3, 0), (0x13, 2, 0), (0x4000, 4, 0), (0xFFFF_FFFC, 4, 0), (0x12, 2, 1)] {
      aim(UInt32(offset), UInt32(length), bar: UInt32(bar))
      #expect(device.readConfiguration(place + 16, width: 4) == 0)
      device.writeConfiguration(place + 16, 0xFFFF_FFFF, width: 4)
    }
    #expect(device.readConfiguration(place + 5, width: 1) == 0, "id and padding are read-only")
  }
}
