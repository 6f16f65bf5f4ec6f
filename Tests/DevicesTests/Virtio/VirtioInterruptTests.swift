import Backends
import Counters
import Devices
import TestSupport
import Testing

@Suite("virtio interrupts and their suppression (VIRTIO 1.2, 2.7.7, 2.7.10, 4.1.5.4)")
struct VirtioInterruptTests {
  @Test("INTx: used buffers set ISR bit 0 and the pin; reading ISR clears both")
  func pin() throws {
    let (block, _) = try BlockBench.withDisk()
    _ = block.run(8, writable: 20)
    #expect(block.bench.line.changes == [true])
    #expect(block.device.readConfiguration(0x06, width: 2) & 0x08 == 0x08)
    #expect(block.driver.isr == 1)
    #expect(block.driver.isr == 0)
    #expect(block.bench.line.changes == [true, false])
    #expect(block.bench.counters[.interrupts] == 1)
  }

  @Test("MSI-X: a queue's vector is sent and the pin stays low; 0xFFFF sends nothing")
  func messages() throws {
    let (block, _) = try BlockBench.withDisk()
    block.driver.enableMessages(block.device, count: 2)
    #expect(block.messages.routes[1] == .init(address: 0xFEE0_0000, data: 0x41))
    block.driver.start(queues: 1, vectors: [1])
    #expect(block.driver.read(0x1A, width: 2) == 1)
    _ = block.run(8, writable: 20)
    #expect(block.messages.signalled == [1])
    #expect(block.bench.line.changes == [])
    #expect(block.driver.isr == 0)
    block.driver.write(0x1A, width: 2, 0xFFFF)
    _ = block.run(8, writable: 20)
    #expect(block.messages.signalled == [1])
    block.driver.write(0x1A, width: 2, 2)
    #expect(block.driver.read(0x1A, width: 2) == 0xFFFF, "4.1.5.1.2.1: only vectors 0 and 1 exist")
    block.driver.write(0x10, width: 2, 7)
    #expect(block.driver.read(0x10, width: 2) == 0xFFFF)
  }

  @Test("the configuration's vector carries changes of the configuration")
  func configurationVector() throws {
    let net = try NetBench()
    net.driver.enableMessages(net.device, count: 4)
    net.driver.start(1 << 16, queues: 2, vectors: [1, 2])
    net.driver.write(0x10, width: 2, 0)
    net.device.setLink(up: false)
    #expect(net.messages.signalled == [0])
    #expect(net.driver.isr == 2, "4.1.4.5.1: set with MSI-X too, unlike bit 0")
    #expect(net.bench.line.changes == [])
  }

  @Test("PCI 3.0, 6.8.2.2: a masked vector is pending until unmasked, and then sent")
  func masked() throws {
    let (block, _) = try BlockBench.withDisk()
    block.driver.enableMessages(block.device, count: 2)
    block.driver.start(queues: 1, vectors: [1])
    block.bench.write32(0xE010_001C, 1)
    _ = block.run(8, writable: 20)
    #expect(block.messages.signalled == [])
    #expect(block.bench.read32(0xE010_0800) == 2)
    block.bench.write32(0xE010_001C, 0)
    #expect(block.messages.signalled == [1])
    #expect(block.bench.read32(0xE010_0800) == 0)
  }

  @Test("enabling MSI-X lowers the pin")
  func enableReleasesPin() throws {
    let (block, _) = try BlockBench.withDisk()
    _ = block.run(8, writable: 20)
    #expect(block.bench.line.isAsserted)
    block.driver.enableMessages(block.device, count: 2)
    #expect(!block.bench.line.isAsserted)
  }

  @Test("2.7.7: with NO_INTERRUPT in the available ring's flags, the device sends no interrupt")
  func flags() throws {
    let (block, _) = try BlockBench.withDisk()
    block.ring.setAvailableFlags(1)
    #expect(block.run(8, writable: 20).length == 21)
    #expect(block.bench.line.changes == [])
    block.ring.setAvailableFlags(0)
    _ = block.run(8, writable: 20)
    #expect(block.bench.line.changes == [true])
  }

  @Test("2.7.10: without EVENT_IDX, an idle queue sets the used ring's flags to 0, so that the driver kicks")
  func usedFlags() throws {
    let (block, _) = try BlockBench.withDisk()
    _ = block.run(8, writable: 20)
    #expect(block.ring.usedFlags == 0)
  }

  @Test("EVENT_IDX can be turned off")
  func notOffered() throws {
    var options = VirtioFunction.Options()
    options.offersEventIndex = false
    options.offersMSIX = false
    let block = try BlockBench(
      MemoryStorage(sectorCount: 8, counters: Counters(owner: "disk")), options: options)
    #expect(block.driver.deviceFeatures & 1 << 29 == 0)
    #expect(block.device.capability(0x11) == nil)
    block.driver.start(queues: 1)
    _ = block.run(8, writable: 20)
    #expect(block.driver.isr == 1)
  }

  @Test("2.7.7.2: with EVENT_IDX, the device interrupts once when the used index passes used_event")
  func usedEvent() throws {
    let (block, _) = try BlockBench.withDisk(features: 1 << 29)
    block.ring.setUsedEvent(2)
    _ = block.run(8, writable: 20)
    _ = block.run(8, writable: 20)
    #expect(block.bench.counters[.interrupts] == 0)
    _ = block.run(8, writable: 20)
    #expect(block.bench.counters[.interrupts] == 1)
    _ = block.run(8, writable: 20)
    #expect(block.bench.counters[.interrupts] == 1)
    // A batch that passes used_event interrupts once.
    block.ring.setUsedEvent(5)
    for head in [0, 4, 8] as [UInt16] { block.add(8, writable: 20, head: head) }
    block.ring.kick()
    #expect(block.ring.usedIndex == 7)
    #expect(block.bench.counters[.interrupts] == 2)
  }

  @Test("2.7.10: when the queue is empty, avail_event requests a kick at the next entry")
  func availableEvent() throws {
    let (block, _) = try BlockBench.withDisk(features: 1 << 29)
    #expect(block.ring.availableEvent == 0)
    for step in 1...20 as ClosedRange<UInt16> {
      _ = block.run(8, writable: 20)
      #expect(block.ring.availableEvent == step)
    }
    #expect(block.ring.usedFlags == 0, "flags stay 0 with EVENT_IDX")
  }

  @Test("indices and event indices wrap at 65535")
  func wrap() throws {
    let (block, _) = try BlockBench.withDisk(features: 1 << 29, size: 128)
    block.setHeader(8, sector: 0)
    block.ring.setUsedEvent(65_533)
    for slot in 0..<128 as Range<UInt16> {
      // A request of header and status alone: GET_ID into no bytes.
      if slot < 64 {
        block.ring.setDescriptor(2 * slot, BlockBench.header, 16, flags: 1, next: 2 * slot + 1)
        block.ring.setDescriptor(2 * slot + 1, BlockBench.status, 1, flags: 2)
      }
    }
    func run(_ count: Int) {
      for slot in 0..<count { block.ring.makeAvailable(UInt16(2 * (slot % 64))) }
      block.ring.kick()
    }
    for _ in 0..<1023 { run(64) }
    run(62)
    #expect(block.ring.usedIndex == 65_534)
    #expect(block.bench.counters[.interrupts] == 1)
    #expect(block.ring.availableEvent == 65_534)
    block.ring.setUsedEvent(65_535)
    run(1)
    #expect(block.bench.counters[.interrupts] == 1)
    run(1)
    #expect(block.ring.usedIndex == 0)
    #expect(block.ring.availableEvent == 0)
    #expect(block.bench.counters[.interrupts] == 2)
    block.ring.setUsedEvent(1)
    run(1)
    #expect(block.bench.counters[.interrupts] == 2)
    run(3)
    #expect(block.ring.usedIndex == 4)
    #expect(block.bench.counters[.interrupts] == 3)
    #expect(!block.driver.needsReset)
  }
}
