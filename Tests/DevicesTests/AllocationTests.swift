import Backends
import Bus
import Counters
import Devices
import GuestMemory
import Synchronization
import TestSupport
import Testing

/// A network backend that drops each frame that a NIC sends, and has one frame to offer.
private final class DroppingNetwork: NetworkBackend {
  let kind = "dropping"
  let acceptedOffloads: NetworkOffloads = []
  private let receiver = Mutex<(any FrameReceiver)?>(nil)
  let sent = Atomic<Int>(0)

  func connect(_ receiver: (any FrameReceiver)?) { self.receiver.withLock { $0 = receiver } }
  func send(_ frame: Frame) { sent.add(1, ordering: .relaxed) }
  func sentBurst() {}
  func receiverReady() {}

  func offer(_ frame: Frame) -> FrameDelivery {
    guard let receiver = receiver.withLock({ $0 }) else { return .discarded }
    let delivery = receiver.receive(frame)
    receiver.receivedBurst()
    return delivery
  }
}

/// Counts the allocations of a device and its loop, not those of the test's driver.
@Suite(
  "A device allocates nothing for an operation", .enabled(if: Allocations.areCounted, "a sanitizer has its own malloc"))
struct AllocationTests {
  private static let operations = 200

  /// Runs `body` until pools and arrays have their size, and returns the allocations of further operations.
  private func steady(_ body: () -> Int) -> Double {
    for _ in 0..<64 { _ = body() }
    let sum = (0..<Self.operations).reduce(0) { sum, _ in sum + body() }
    return Double(sum) / Double(Self.operations)
  }

  @Test("an allocation is counted, and its absence too")
  func counter() {
    final class Thing { var value = 1 }
    var things: [Thing] = []
    things.reserveCapacity(10)
    #expect(Allocations.count { for _ in 0..<10 { things.append(Thing()) } } == 10)
    #expect(Allocations.count {} == 0)
  }

  @Test("virtio-blk: a read and a write of 4 KiB", arguments: [0, 1] as [UInt32])
  func virtioBlock(type: UInt32) throws {
    let (block, _) = try BlockBench.withDisk()
    block.ring.setAvailableFlags(1)
    var used: UInt16 = 0
    let allocations = steady {
      block.setHeader(type, sector: 8)
      block.ring.add([
        (BlockBench.header, 16, false), (BlockBench.data, 4096, type == 0), (BlockBench.status, 1, true),
      ])
      let count = Allocations.count { block.ring.kick() }
      used &+= 1
      return count
    }
    #expect(block.ring.usedIndex == used)
    #expect(block.bench.bytes(at: BlockBench.status, count: 1) == [0])
    #expect(allocations <= Threshold.allocations)
  }

  @Test("IDE: a DMA read and write of 4 KiB", arguments: [0xC8, 0xCA] as [UInt8])
  func ide(command: UInt8) throws {
    let (ide, _) = try IDEBench.withDisk()
    // A PRD table of one region (1994 Bus Master IDE specification, 1.2).
    ide.bench.memory.store(UInt32(0x20_0000), at: 0x10_0000)
    ide.bench.memory.store(UInt32(4096) | 1 << 31, at: 0x10_0004)
    var status: UInt8 = 0
    let base: UInt64 = 0xC400
    let allocations = steady {
      Allocations.count {
        ide.outb(0x1F6, 0xE0)
        ide.outb(0x1F2, 8)
        ide.outb(0x1F3, 0)
        ide.outb(0x1F4, 0)
        ide.outb(0x1F5, 0)
        ide.bench.outl(base + 4, 0x10_0000)
        ide.outb(0x1F7, command)
        ide.outb(base, command == 0xC8 ? 9 : 1)
        ide.bench.settle()
        status = ide.inb(base + 2)
        _ = ide.inb(0x1F7)
        ide.outb(base, 0)
        ide.outb(base + 2, 6)
      }
    }
    // INTR without ERROR.
    #expect(status & 6 == 4)
    #expect(allocations <= Threshold.allocations)
  }

  @Test("e1000: a frame of 1514 bytes sent, and one received", arguments: [true, false])
  func e1000(sends: Bool) throws {
    let bench = try DeviceBench()
    let network = DroppingNetwork()
    let nic = try E1000(
      name: "e1000", macAddress: [2, 0, 0, 0, 0, 1], memory: bench.memory, backend: network, loop: bench.loop,
      counters: bench.counters)
    bench.plug(nic)
    let base = E1000Bench.base
    let ring = base + (sends ? 0x3800 : 0x2800)
    // A ring of 256 descriptors with one buffer for all.
    for index in 0..<256 as Range<UInt64> {
      bench.memory.store(UInt64(0x60_0000), at: 0x1_0000 + 16 * index)
      // EOP, IFCS and RS.
      bench.memory.store(UInt64(sends ? 1514 | 0x0B << 24 : 0), at: 0x1_0008 + 16 * index)
    }
    bench.write32(ring, 0x1_0000)
    bench.write32(ring + 8, 256 * 16)
    bench.write32(base + (sends ? 0x0400 : 0x0100), sends ? 0x0A : 0x0400_8002)
    var bytes = [UInt8](repeating: 0, count: 1514)
    bytes[0] = 2
    bytes[5] = 1
    var number: UInt32 = 0
    let allocations = bytes.withUnsafeMutableBytes { raw in
      let frame = Frame(pieces: ScatterList(raw))
      return steady {
        number += 1
        return Allocations.count {
          bench.write32(ring + 0x18, (number + (sends ? 0 : 8)) & 255)
          if !sends { _ = network.offer(frame) }
          bench.settle()
        }
      }
    }
    #expect(bench.counters[sends ? .framesSent : .framesReceived] == UInt64(64 + Self.operations))
    #expect(allocations <= Threshold.allocations)
  }

  @Test("virtio-net: a frame of 1514 bytes sent, and one received", arguments: [true, false])
  func virtioNet(sends: Bool) throws {
    let bench = try DeviceBench()
    let network = DroppingNetwork()
    let nic = try VirtioNet(
      name: "nic", macAddress: [2, 0, 0, 0, 0, 1], backend: network, memory: bench.memory, loop: bench.loop,
      counters: bench.counters)
    bench.plug(nic)
    let driver = VirtioDriver(bench)
    driver.start(queues: 2, size: 256)
    for ring in driver.rings { ring.setAvailableFlags(1) }
    var bytes = [UInt8](repeating: 0, count: 1514)
    bytes[0] = 2
    bytes[5] = 1
    let allocations = bytes.withUnsafeMutableBytes { raw in
      let frame = Frame(pieces: ScatterList(raw))
      return steady {
        driver.rings[sends ? 1 : 0].add([(0x60_0000, 12 + 1514, !sends)])
        return Allocations.count {
          driver.rings[sends ? 1 : 0].kick()
          if !sends {
            _ = network.offer(frame)
            bench.settle()
          }
        }
      }
    }
    let ring = driver.rings[sends ? 1 : 0]
    #expect(ring.usedIndex == UInt16(64 + Self.operations))
    #expect(!sends || network.sent.load(ordering: .relaxed) == 64 + Self.operations)
    #expect(allocations <= Threshold.allocations)
  }
}
