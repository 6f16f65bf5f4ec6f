import Backends
import Counters
import Devices
import EventLoop
import TestSupport
import Testing
import Threads

@Suite("virtio-blk writes guest memory only while bus mastering is on (PCI 3.0, 6.2.2)", .timeLimit(.minutes(10)))
struct VirtioBlockFenceTests {
  private func runningRead() throws -> (BlockBench, HeldStorage) {
    let disk = HeldStorage(sectorCount: 64)
    let block = try BlockBench(disk)
    block.driver.start(0, queues: 1)
    block.add(0, writable: 512)
    block.ring.kick()
    #expect(disk.submitted == 1)
    return (block, disk)
  }

  @Test("without bus mastering, status and used ring wait until it is on again")
  func held() throws {
    let (block, disk) = try runningRead()
    block.device.writeConfiguration(0x04, 0x0003, width: 2)
    disk.release()
    block.bench.settle()
    #expect(block.statusByte == 0xEE)
    #expect(block.ring.usedIndex == 0)
    block.device.writeConfiguration(0x04, 0x0007, width: 2)
    block.bench.settle()
    #expect(block.statusByte == 0)
    #expect(block.ring.takeUsed()?.length == 513)
  }

  @Test("a reset drops waiting status writes, and completes at once")
  func reset() throws {
    let (block, disk) = try runningRead()
    block.device.writeConfiguration(0x04, 0x0003, width: 2)
    disk.release()
    block.driver.status = 0
    #expect(block.driver.status == 0)
    block.device.writeConfiguration(0x04, 0x0007, width: 2)
    block.bench.settle()
    #expect(block.statusByte == 0xEE)
    block.driver.start(0, queues: 1)
    block.ring.restart()
    #expect(block.run(8, writable: 20) == (0, 21))
  }

  @Test("the access that turns bus mastering off ends after the request")
  func fence() throws {
    let (block, disk) = try runningRead()
    block.bench.loop.start()
    defer { block.bench.loop.stop() }
    let device = block.device
    let isOff = Latch()
    let guest = BackgroundThread {
      device.writeConfiguration(0x04, 0x0003, width: 2)
      isOff.open()
    }
    guest.start()
    #expect(!isOff.wait(nanoseconds: 50_000_000), "the request is in flight")
    block.bench.loop.sync { disk.release(fill: 7) }
    isOff.wait()
    guest.join()
    #expect(block.bench.bytes(at: BlockBench.data, count: 1) == [7])
  }

  @Test("used entries from before bus mastering went off are published when it is on again")
  func published() throws {
    let (block, disk) = try runningRead()
    disk.release()
    // The used entry was pushed; the loop publishes it in a separate turn.
    block.device.writeConfiguration(0x04, 0x0003, width: 2)
    block.bench.settle()
    #expect(block.ring.usedIndex == 0)
    block.device.writeConfiguration(0x04, 0x0007, width: 2)
    block.bench.settle()
    #expect(block.ring.takeUsed()?.length == 513)
  }
}

@Suite("virtio-blk's work is bounded")
struct VirtioBlockBoundTests {
  @Test("size_max and seg_max bound a request: a thousand segments of the same RAM are an I/O error")
  func longRequest() throws {
    // The disk is as large as the request, so only the request's length is wrong.
    let (block, _) = try BlockBench.withDisk(sectors: 1 << 18, features: 1 << 28)
    #expect(block.driver.configuration(8, 8) == [0, 0, 4, 0, 254, 0, 0, 0])
    block.setHeader(0, sector: 0)
    var buffers: [SplitRingDriver.Buffer] = [(BlockBench.header, 16, false)]
    for index in 0..<1000 { buffers.append((BlockBench.data + UInt64(index % 2) * 0x4_0000, 0x2_0000, true)) }
    block.ring.addIndirect(buffers + [(BlockBench.status, 1, true)])
    block.ring.kick()
    #expect(block.statusByte == 1)
    #expect(block.bench.counters[.badRequest] == 1)
    block.ring.addIndirect(Array(buffers[..<200]) + [(BlockBench.status, 1, true)])
    block.ring.kick()
    #expect(block.statusByte == 0)
  }

  @Test("a turn ends after 16 MiB, and the rest follows in later turns")
  func turn() throws {
    let disk = HeldStorage(sectorCount: 1 << 20)
    let block = try BlockBench(disk)
    block.driver.start(1 << 28, queues: 1, size: 64)
    let status = BlockBench.status
    block.setHeader(1, sector: 0)
    for index in 0..<8 as Range<UInt16> {
      let data = [SplitRingDriver.Buffer](repeating: (BlockBench.data, 0x4_0000, false), count: 16)
      block.ring.addIndirect(
        [(BlockBench.header, 16, false)] + data.enumerated().map { ($1.0 + UInt64($0 % 2) * 0x8_0000, $1.1, $1.2) }
          + [(status, 1, true)], head: 2 * index, table: 0x30_0000 + 0x1000 * UInt64(index))
    }
    block.bench.bus.write(.memory, 0xE000_3000, width: 2, 0)
    _ = block.bench.loop.runOnce()
    #expect(disk.submitted == 4, "of 4 MiB each")
    block.bench.settle()
    #expect(disk.submitted == 8)
  }
}
