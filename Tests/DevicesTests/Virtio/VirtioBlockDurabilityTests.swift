import Backends
import Devices
import TestSupport
import Testing

@Suite("virtio-blk's zeroes are as durable as its writes", .timeLimit(.minutes(10)))
struct VirtioBlockDurabilityTests {
  /// Zeroes sectors 8 to 15 of a disk of ones, then cuts the power, and returns the byte values left there.
  private func afterPowerLoss(features: UInt64, writeback: UInt8?) throws -> Set<UInt8> {
    let file = try TemporaryFile(size: 64 * 512)
    file.store([UInt8](repeating: 0xFF, count: 64 * 512))
    let base = try TemporaryFile(size: 64 * 512)
    base.store([UInt8](repeating: 0xFF, count: 64 * 512))
    let folder = try TemporaryFolder()
    let bench = try DeviceBench()
    let disk = try FileStorage(path: file.path, loop: bench.loop, counters: bench.counters)
    let log = try StorageLog(disk, path: folder.file("log"))
    let device = try VirtioBlock(
      name: "disk", storage: log, serial: "", memory: bench.memory, loop: bench.loop, counters: bench.counters)
    bench.plug(device)
    let driver = VirtioDriver(bench)
    driver.start(1 << 14 | features, queues: 1)
    if let writeback { driver.write(0x2020, width: 1, UInt64(writeback)) }
    // VIRTIO_BLK_T_WRITE_ZEROES: sector, count, flags.
    let header: UInt64 = 0x40_0000
    bench.memory.store(UInt64(13), at: header)
    bench.memory.store(UInt64(0), at: header + 8)
    bench.memory.store(UInt64(8), at: header + 16)
    bench.memory.store(UInt64(8), at: header + 24)
    driver.rings[0].add([(header, 32, false), (header + 0x1000, 1, true)])
    driver.rings[0].kick()
    for _ in 0..<1000 where driver.rings[0].usedIndex == 0 { bench.loop.runOnce(timeout: 10_000_000) }
    #expect(driver.rings[0].usedIndex == 1)
    #expect(bench.bytes(at: header + 0x1000, count: 1) == [0])
    log.drain()
    var left: Set<UInt8> = []
    let reader = try StorageLogReader(path: folder.file("log"))
    while try reader.next() != nil {}
    try PowerLossReplay(reader, base: base.path).images(at: [reader.count], survivors: .none) { _, image in
      try image.write(to: folder.file("image"))
      left = Set(try folder.read("image", count: 64 * 512)[8 * 512..<16 * 512])
    }
    return left
  }

  @Test("5.2.6.2: acknowledged zeroes survive a loss of power if the driver has no cache to flush")
  func powerLoss() throws {
    #expect(try afterPowerLoss(features: 1 << 9 | 1 << 11, writeback: 0) == [0], "writeback = 0")
    #expect(try afterPowerLoss(features: 0, writeback: nil) == [0], "a driver without FLUSH")
    #expect(try afterPowerLoss(features: 1 << 9, writeback: nil) == [0xFF], "the control: a cache that was not flushed")
  }
}
