import Backends
import Counters
import Devices
import TestSupport

/// A driver of one virtio-blk device. Requests have the header at 0x40_0000, data at 0x41_0000, status at 0x40_1000.
struct BlockBench {
  let bench: DeviceBench
  let device: VirtioBlock
  let driver: VirtioDriver
  let messages = RecordedMessages()

  static let header: UInt64 = 0x40_0000
  static let status: UInt64 = 0x40_1000
  static let data: UInt64 = 0x41_0000

  init(
    _ storage: any Storage, on bench: DeviceBench? = nil, queueCount: Int = 1, options: VirtioFunction.Options = .init()
  ) throws {
    self.bench = try bench ?? DeviceBench()
    device = try VirtioBlock(
      name: "disk", storage: storage, serial: "serial-0123456789-too-long", queueCount: queueCount,
      memory: self.bench.memory, loop: self.bench.loop, counters: self.bench.counters, options: options)
    self.bench.plug(device)
    device.messages?.connect(messages)
    driver = VirtioDriver(self.bench)
  }

  static func withDisk(
    sectors: UInt64 = 64, isReadOnly: Bool = false, features: UInt64 = 1 << 9, size: UInt16 = 16
  ) throws -> (BlockBench, MemoryStorage) {
    let disk = try MemoryStorage(sectorCount: sectors, isReadOnly: isReadOnly, counters: Counters(owner: "disk"))
    let block = try BlockBench(disk)
    block.driver.start(features, queues: 1, size: size)
    return (block, disk)
  }

  var ring: SplitRingDriver { driver.rings[0] }

  /// Stores a header: type, reserved, sector (VIRTIO 1.2, 5.2.6).
  func setHeader(_ type: UInt32, sector: UInt64, at place: UInt64 = BlockBench.header) {
    bench.memory.store(type, at: place)
    bench.memory.store(UInt32(0), at: place + 4)
    bench.memory.store(sector, at: place + 8)
    bench.memory.store(UInt8(0xEE), at: Self.status)
  }

  /// Makes a request of a header, data and a status available.
  func add(_ type: UInt32, sector: UInt64 = 0, readable: UInt32 = 0, writable: UInt32 = 0, head: UInt16 = 0) {
    setHeader(type, sector: sector)
    var buffers: [SplitRingDriver.Buffer] = [(Self.header, 16, false)]
    if readable > 0 { buffers.append((Self.data, readable, false)) }
    if writable > 0 { buffers.append((Self.data, writable, true)) }
    buffers.append((Self.status, 1, true))
    ring.add(buffers, head: head)
  }

  /// Runs one request and returns its status byte and the used length.
  func run(
    _ type: UInt32, sector: UInt64 = 0, readable: UInt32 = 0, writable: UInt32 = 0
  ) -> (status: UInt8, length: UInt32?) {
    add(type, sector: sector, readable: readable, writable: writable)
    ring.kick()
    return (statusByte, ring.takeUsed()?.length)
  }

  var statusByte: UInt8 { bench.bytes(at: Self.status, count: 1)[0] }
}
