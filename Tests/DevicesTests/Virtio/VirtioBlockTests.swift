import Backends
import Counters
import Devices
import TestSupport
import Testing

@Suite("virtio-blk requests (VIRTIO 1.2, 5.2.6)")
struct VirtioBlockTests {
  @Test("IN reads sectors and reports the written length; OUT writes them")
  func readAndWrite() throws {
    let (block, disk) = try BlockBench.withDisk()
    for index in 0..<1024 { disk.bytes[512 * 3 + index] = UInt8(truncatingIfNeeded: index &* 5 &+ 1) }
    #expect(block.run(0, sector: 3, writable: 1024) == (0, 1025))
    #expect(block.bench.bytes(at: BlockBench.data, count: 1024) == Array(disk.bytes[1536..<2560]))
    #expect(block.bench.bytes(at: BlockBench.data, count: 3) == [1, 6, 11])
    #expect(block.run(1, sector: 10, readable: 1024) == (0, 1))
    #expect(Array(disk.bytes[5120..<6144]) == Array(disk.bytes[1536..<2560]))
    #expect(block.bench.counters[.diskReads] == 1)
    #expect(block.bench.counters[.diskWrites] == 1)
    #expect(block.bench.counters[.diskBytes] == 2048)
    #expect(block.bench.counters[.doorbells] == 2 + 1, "one for DRIVER_OK")
  }

  @Test("2.7.4.1: the driver may split header, data and status over descriptors in any way")
  func framing() throws {
    let (block, disk) = try BlockBench.withDisk()
    for index in 0..<512 { disk.bytes[index] = UInt8(truncatingIfNeeded: index) }
    block.setHeader(0, sector: 0)
    // Header in 1 + 7 + 8 bytes, data in 100 and 411 + the last byte with the status behind it.
    block.ring.add([
      (BlockBench.header, 1, false), (BlockBench.header + 1, 7, false), (BlockBench.header + 8, 8, false),
      (BlockBench.data, 100, true), (BlockBench.data + 0x1000, 411, true), (BlockBench.data + 0x2000, 2, true),
    ])
    block.ring.kick()
    #expect(block.ring.takeUsed()?.length == 513)
    #expect(block.bench.bytes(at: BlockBench.data, count: 100) == (0..<100).map { UInt8($0) })
    let second = block.bench.bytes(at: BlockBench.data + 0x1000, count: 411)
    #expect(second == (100..<511).map { UInt8(truncatingIfNeeded: $0) })
    #expect(block.bench.bytes(at: BlockBench.data + 0x2000, count: 2) == [0xFF, 0], "last byte, then the status")

    // Header and data of a write in one descriptor, all of it in an indirect table.
    block.driver.start(1 << 28, queues: 1)
    block.setHeader(1, sector: 9)
    block.bench.store([UInt8](repeating: 0xAB, count: 512), at: BlockBench.header + 16)
    block.ring.addIndirect([(BlockBench.header, 528, false), (BlockBench.status, 1, true)])
    block.ring.kick()
    #expect(block.statusByte == 0)
    #expect(Array(disk.bytes[4608..<5120]) == [UInt8](repeating: 0xAB, count: 512))
    #expect(disk.bytes[5120] == 0)

    // 2.7.5.3.2: normal descriptors, then an indirect one.
    SplitRingDriver.store(block.bench, 0x30_0000, BlockBench.data, 512, 2 | 1, 1)
    SplitRingDriver.store(block.bench, 0x30_0010, BlockBench.status, 1, 2, 0)
    block.setHeader(0, sector: 9)
    block.ring.setDescriptor(4, BlockBench.header, 16, flags: 1, next: 5)
    block.ring.setDescriptor(5, 0x30_0000, 32, flags: 4)
    block.ring.makeAvailable(4)
    block.ring.kick()
    #expect(block.statusByte == 0)
    #expect(block.bench.bytes(at: BlockBench.data, count: 1) == [0xAB])
  }

  @Test("FLUSH, GET_ID")
  func flushAndID() throws {
    let (block, _) = try BlockBench.withDisk()
    #expect(block.run(4) == (0, 1))
    #expect(block.bench.counters[.diskFlushes] == 1)
    #expect(block.run(8, writable: 20) == (0, 21))
    #expect(block.bench.bytes(at: BlockBench.data, count: 20) == Array("serial-0123456789-to".utf8))
    #expect(block.run(8, writable: 6) == (0, 7), "as much as fits")
    #expect(block.run(8, writable: 30) == (0, 20), "2.7.8.2: the length counts the bytes without a gap")
  }

  @Test("DISCARD and WRITE_ZEROES take one segment of sector, count and flags")
  func ranges() throws {
    let (block, disk) = try BlockBench.withDisk(features: 1 << 13 | 1 << 14)
    func segment(_ sector: UInt64, _ count: UInt32, _ flags: UInt32 = 0) {
      block.bench.memory.store(sector, at: BlockBench.data)
      block.bench.memory.store(count, at: BlockBench.data + 8)
      block.bench.memory.store(flags, at: BlockBench.data + 12)
    }
    for type in [11, 13] as [UInt32] {
      for index in 0..<disk.bytes.count { disk.bytes[index] = 0xFF }
      segment(2, 3)
      #expect(block.run(type, readable: 16) == (0, 1))
      #expect(Array(disk.bytes[1023...1024]) == [0xFF, 0])
      #expect(Array(disk.bytes[2559...2560]) == [0, 0xFF])
      segment(63, 2)
      #expect(block.run(type, readable: 16) == (1, 1), "beyond the end")
      segment(0x0080_0000_0000_0000, 1)
      #expect(block.run(type, readable: 16) == (1, 1), "a sector whose byte offset does not fit 64 bits")
      segment(0, 0)
      #expect(block.run(type, readable: 16) == (1, 1))
      segment(0, 0xFFFF_FFFF)
      #expect(block.run(type, readable: 16) == (1, 1))
      segment(0, 1, 2)
      #expect(block.run(type, readable: 16) == (2, 1), "5.2.6.2: reserved flags are unsupported")
      segment(0, 1)
      #expect(block.run(type, readable: 15) == (1, 1))
      #expect(block.run(type, readable: 32) == (1, 1), "max_discard_seg and max_write_zeroes_seg are 1")
      #expect(block.run(type) == (1, 1))
    }
    segment(5, 1, 1)
    #expect(block.run(13, readable: 16) == (0, 1), "unmap is WRITE_ZEROES' only flag")
    #expect(block.run(11, readable: 16) == (2, 1))
    #expect(block.bench.counters[.badRequest] == 17)
    #expect(disk.bytes[0] == 0xFF)
  }

  @Test("an invalid request ends with IOERR, and nothing is written", arguments: [0, 1] as [UInt32])
  func outOfRange(type: UInt32) throws {
    let (block, disk) = try BlockBench.withDisk()
    let isRead = type == 0
    func run(_ sector: UInt64, _ count: UInt32) -> UInt8 {
      block.run(type, sector: sector, readable: isRead ? 0 : count, writable: isRead ? count : 0).status
    }
    #expect(run(63, 512) == 0)
    #expect(run(64, 512) == 1)
    #expect(run(63, 1024) == 1)
    #expect(run(0x007F_FFFF_FFFF_FFFF, 512) == 1)
    #expect(run(0x0080_0000_0000_0000, 512) == 1, "times 512 it is 0 modulo 2^64")
    #expect(run(.max, 512) == 1)
    #expect(run(0, 511) == 1)
    #expect(run(0, 513) == 1)
    #expect(run(0, 0) == 1)
    #expect(block.bench.counters[.badRequest] == 8)
    #expect(block.bench.counters[.diskErrors] == 8)
    #expect(!block.driver.needsReset, "a wrong request is not a broken ring")
    #expect(disk.bytes[0] == 0)
  }

  @Test("an error writes no data, and the used length shows it")
  func errorLength() throws {
    let (block, _) = try BlockBench.withDisk()
    #expect(block.run(0, sector: 100, writable: 512) == (1, 0))
  }

  @Test("unknown types are UNSUPP", arguments: [2, 3, 5, 7, 10, 15, 0xFFFF_FFFF] as [UInt32])
  func unsupported(type: UInt32) throws {
    let (block, _) = try BlockBench.withDisk()
    #expect(block.run(type, writable: 20).status == 2)
    #expect(block.bench.counters[.badRequest] == 1)
  }

  @Test("a read-only disk offers RO but no discard, and fails writes")
  func readOnly() throws {
    let (block, disk) = try BlockBench.withDisk(isReadOnly: true, features: 1 << 5)
    #expect(block.driver.deviceFeatures & (1 << 5 | 1 << 13 | 1 << 14) == 1 << 5)
    block.bench.store([1], at: BlockBench.data)
    #expect(block.run(1, readable: 512) == (1, 1))
    #expect(block.run(0, writable: 512) == (0, 513))
    #expect(disk.bytes[0] == 0)
  }

  @Test("a request without room for header or status is returned untouched")
  func tooShort() throws {
    let (block, _) = try BlockBench.withDisk()
    block.setHeader(0, sector: 0)
    for buffers in [
      [(BlockBench.header, 16, false)], [(BlockBench.header, 15, false), (BlockBench.status, 1, true)],
      [(BlockBench.status, 1, true)],
    ] as [[SplitRingDriver.Buffer]] {
      block.ring.add(buffers)
      block.ring.kick()
      #expect(block.ring.takeUsed()?.length == 0)
    }
    #expect(block.bench.counters[.badRequest] == 3)
    #expect(block.statusByte == 0xEE)
    #expect(block.run(0, writable: 512).status == 0)
  }

  @Test("a later completion: a host error is IOERR, an unsupported operation UNSUPP")
  func laterEnds() throws {
    let disk = HeldStorage(sectorCount: 64)
    let block = try BlockBench(disk)
    block.driver.start(1 << 9, queues: 1)
    let ends: [(StorageResult, UInt8)] = [(.failed(5), 1), (.unsupported, 2), (.success, 0)]
    for (result, status) in ends {
      block.add(0, writable: 512)
      block.ring.kick()
      #expect(block.statusByte == 0xEE)
      #expect(block.ring.takeUsed() == nil)
      disk.release(result)
      block.bench.settle()
      #expect(block.statusByte == status)
      #expect(block.ring.takeUsed() != nil)
    }
    #expect(block.bench.counters[.diskErrors] == 1)
  }

  @Test("requests may complete in any order, and share an interrupt")
  func manyInFlight() throws {
    let disk = HeldStorage(sectorCount: 64)
    let block = try BlockBench(disk)
    block.driver.start(queues: 1)
    for head in [0, 4, 8, 12] as [UInt16] { block.add(0, writable: 512, head: head) }
    block.ring.kick()
    #expect(disk.waiting.count == 4)
    for _ in 0..<4 { disk.release() }
    block.bench.settle()
    #expect((0..<4).compactMap { _ in block.ring.takeUsed()?.head } == [0, 4, 8, 12])
    #expect(block.bench.counters[.interrupts] == 1)
  }

  @Test("5.2.6.2: writes are durable unless the driver can flush and left writeback on")
  func writeback() throws {
    let disk = HeldStorage(sectorCount: 64)
    let block = try BlockBench(disk)
    func write() -> Bool? {
      block.add(1, readable: 512)
      block.ring.kick()
      disk.release()
      block.bench.settle()
      return disk.durable.last
    }
    block.driver.start(1 << 9 | 1 << 11, queues: 1)
    #expect(block.driver.configuration(32, 1) == [1])
    #expect(write() == false)
    block.driver.write(0x2020, width: 1, 0)
    #expect(block.driver.configuration(32, 1) == [0])
    #expect(write() == true)
    block.driver.write(0x2020, width: 1, 1)
    #expect(write() == false)
    block.driver.write(0x2020, width: 1, 0)
    block.driver.start(1 << 9, queues: 1)
    #expect(write() == false, "a reset restores writeback")
    block.driver.write(0x2020, width: 1, 0)
    #expect(write() == false, "without CONFIG_WCE it is read-only")
    block.driver.start(queues: 1)
    #expect(write() == true, "without FLUSH every completed write is stable")
    block.driver.start(1 << 11, queues: 1)
    #expect(block.driver.configuration(32, 1) == [0], "5.2.5.2: CONFIG_WCE without FLUSH starts at 0")
    block.driver.write(0x2020, width: 1, 1)
    #expect(write() == true)
  }

  @Test("5.2.4: the configuration's layout")
  func configuration() throws {
    let disk = try MemoryStorage(sectorCount: 0x1_0000_2000, counters: Counters(owner: "disk"))
    let block = try BlockBench(disk, queueCount: 3)
    let driver = block.driver
    #expect(driver.read(0x2000, width: 8) == 0x1_0000_2000)
    #expect(driver.read(0x2004, width: 4) == 1)
    #expect(driver.read(0x200C, width: 4) == 254, "seg_max")
    #expect(driver.configuration(16, 4) == [0xFF, 0xFF, 16, 63], "geometry, cylinders at their limit")
    #expect(driver.read(0x2014, width: 4) == 512)
    #expect(driver.configuration(24, 8) == [3, 0, 8, 0, 0, 0, 0, 0], "physical blocks of 4 KiB")
    #expect(driver.configuration(32, 2) == [0, 0])
    #expect(driver.read(0x2022, width: 2) == 3, "num_queues")
    #expect(driver.read(0x2024, width: 4) == 1 << 21)
    #expect(driver.read(0x2028, width: 4) == 1)
    #expect(driver.read(0x202C, width: 4) == 8)
    #expect(driver.read(0x2030, width: 4) == 1 << 21)
    #expect(driver.read(0x2034, width: 4) == 1)
    #expect(driver.configuration(56, 8) == [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(driver.read(0x2FFC, width: 8) == 0)
    #expect(driver.deviceFeatures & 0xFFFF_FFFF == 0x3000_7E56)
  }

  @Test("each of several queues is served independently")
  func multiqueue() throws {
    let disk = HeldStorage(sectorCount: 64)
    let block = try BlockBench(disk, queueCount: 2)
    block.driver.enableMessages(block.device, count: 3)
    block.driver.start(1 << 12, queues: 2, vectors: [1, 2])
    let second = block.driver.rings[1]
    block.setHeader(0, sector: 0)
    second.add([(BlockBench.header, 16, false), (BlockBench.data, 512, true), (BlockBench.status, 1, true)])
    second.kick()
    disk.release()
    block.bench.settle()
    #expect(second.takeUsed()?.length == 513)
    #expect(block.ring.takeUsed() == nil)
    #expect(block.messages.signalled == [2])
  }

  @Test("one kick serves a full ring of more than one batch")
  func batches() throws {
    let (block, _) = try BlockBench.withDisk(size: 256)
    block.setHeader(8, sector: 0)
    for slot in 0..<128 as Range<UInt16> {
      block.ring.add([(BlockBench.header, 16, false), (BlockBench.status, 1, true)], head: 2 * slot)
    }
    block.ring.kick()
    #expect(block.ring.usedIndex == 128)
  }
}
