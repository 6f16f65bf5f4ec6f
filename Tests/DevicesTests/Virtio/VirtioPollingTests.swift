import Backends
import Counters
import Devices
import EventLoop
import Synchronization
import TestSupport
import Testing

@Suite("virtio queues that the loop polls (VIRTIO 1.2, 2.7.7 and 2.7.10)", .timeLimit(.minutes(10)))
struct VirtioPollingTests {
  /// RING_EVENT_IDX.
  private static let eventIndex: UInt64 = 1 << 29
  private static let pause: UInt64 = 1_000_000

  /// Whether the driver must kick after it adds the entries from `old` on (2.7.7.2, 2.7.10.1).
  private func wantsKick(_ ring: SplitRingDriver, _ features: UInt64, old: UInt16) -> Bool {
    guard features & Self.eventIndex != 0 else { return ring.usedFlags & 1 == 0 }
    return ring.nextAvailable &- ring.availableEvent &- 1 < ring.nextAvailable &- old
  }

  @Test(
    "requests complete without kicks while the loop polls, and it asks for kicks before it sleeps",
    arguments: [0, eventIndex])
  func quiet(features: UInt64) throws {
    let (block, _) = try BlockBench.withDisk(features: 1 << 9 | features)
    block.bench.loop.beginPolling(limit: 20_000)
    for round in 1...5 as ClosedRange<UInt16> {
      let old = block.ring.nextAvailable
      block.add(0, writable: 512)
      #expect(wantsKick(block.ring, features, old: old) == (round == 1), "the loop polls from the first turn on")
      #expect(block.bench.loop.runOnce(timeout: Self.pause))
      #expect(block.ring.usedIndex == round)
      #expect(block.statusByte == 0)
    }
    #expect(!block.bench.loop.runOnce(timeout: Self.pause))
    let old = block.ring.nextAvailable
    block.add(0, writable: 512)
    #expect(wantsKick(block.ring, features, old: old))
    block.ring.kick()
    #expect(block.ring.usedIndex == 6)
    #expect(block.device.counters[.doorbells] == 1 + 6, "one for DRIVER_OK, and one for each request")
  }

  @Test(
    "a driver that kicks only when it must is never forgotten as the loop falls asleep", arguments: [0, eventIndex])
  func wakeUps(features: UInt64) throws {
    let (block, _) = try BlockBench.withDisk(features: 1 << 9 | features)
    let loop = block.bench.loop
    loop.pollLimit = 20_000
    loop.start()
    defer { loop.stop() }
    var random = RandomNumbers(seed: 1)
    // How many requests need a kick depends on the host's load.
    for round in 1...20_000 {
      let old = block.ring.nextAvailable
      block.add(0, writable: 512)
      atomicMemoryFence(ordering: .sequentiallyConsistent)
      if wantsKick(block.ring, features, old: old) {
        block.bench.bus.write(.memory, 0xE000_3000, width: 2, 0)
      }
      while block.ring.usedIndex != UInt16(truncatingIfNeeded: round) {}
      // Around the moment at which the loop's budget ends.
      for _ in 0..<Int.random(in: 0..<2000, using: &random) { atomicMemoryFence(ordering: .sequentiallyConsistent) }
    }
  }

  @Test(
    "a frame that waits for buffers lets the loop sleep, and is received once the driver adds some",
    arguments: [0, eventIndex])
  func starvedReceiver(features: UInt64) throws {
    let net = try NetBench.started(NetBench.mergeable | features)
    let frame = NetBench.frame(1000)
    net.addBuffer(0, length: 200)
    net.receiveRing.kick()
    net.bench.loop.beginPolling(limit: 20_000)
    #expect(net.network.offer(frame) == .noBuffer)
    // The first turn polls. Then the loop sleeps, though the ring holds a buffer that the frame gave back.
    #expect(!net.bench.loop.runOnce(timeout: Self.pause))
    let old = net.receiveRing.nextAvailable
    for slot in 1..<8 as Range<UInt16> { net.addBuffer(slot, length: 200) }
    #expect(wantsKick(net.receiveRing, features, old: old))
    net.receiveRing.kick()
    #expect(net.receiveRing.usedIndex == 6)
  }

  @Test("more requests than a batch complete in two turns at most, without a kick")
  func batches() throws {
    let (block, _) = try BlockBench.withDisk(features: 1 << 9, size: 256)
    block.bench.loop.beginPolling(limit: 1_000_000)
    for head in 0..<80 as Range<UInt16> { block.add(0, writable: 512, head: 3 * head) }
    #expect(block.bench.loop.runOnce(timeout: Self.pause))
    if block.ring.usedIndex < 80 { #expect(block.bench.loop.runOnce(timeout: Self.pause)) }
    #expect(block.ring.usedIndex == 80)
  }

  @Test("no ring is written while bus mastering is off or the machine is paused", arguments: [false, true])
  func untouched(isPaused: Bool) throws {
    let (block, _) = try BlockBench.withDisk(features: 1 << 9)
    // A loop whose processor another thread takes stops polling, so it may take more than one turn.
    var requests: UInt16 = 0
    repeat {
      block.bench.loop.beginPolling(limit: 20_000)
      block.add(0, writable: 512)
      #expect(block.bench.loop.runOnce(timeout: Self.pause))
      requests += 1
    } while block.ring.usedFlags != 1 && requests < 1000
    #expect(block.ring.usedFlags == 1, "the loop polls")
    if isPaused {
      #expect(block.device.pause())
    } else {
      block.device.writeConfiguration(0x04, 0x0003, width: 2)
    }
    block.bench.memory.store(UInt16(0xBEEF), at: block.ring.used)
    #expect(!block.bench.loop.runOnce(timeout: Self.pause), "the loop stops to poll")
    #expect(block.ring.usedFlags == 0xBEEF)
    if isPaused { block.device.start() } else { block.device.writeConfiguration(0x04, 0x0007, width: 2) }
    block.add(0, writable: 512)
    block.bench.settle()
    #expect(block.ring.usedIndex == requests + 1)
    #expect(block.ring.usedFlags == 0, "it asks for kicks again")
  }

  @Test("a device that is reset while the loop polls is not served, and its new rings are")
  func reset() throws {
    let (block, _) = try BlockBench.withDisk(features: 1 << 9)
    block.bench.loop.beginPolling(limit: 20_000)
    block.add(0, writable: 512)
    #expect(block.bench.loop.runOnce(timeout: Self.pause))
    block.driver.status = 0
    block.ring.setAvailableIndex(7)
    #expect(block.bench.loop.runOnce(timeout: Self.pause), "the word changed: the loop looks once")
    #expect(!block.bench.loop.runOnce(timeout: Self.pause), "and then sleeps")
    #expect(block.ring.usedIndex == 1)
    block.driver.start(1 << 9, queues: 1)
    block.add(0, writable: 512)
    block.ring.kick()
    #expect(block.ring.usedIndex == 1)
    #expect(block.statusByte == 0)
  }
}
