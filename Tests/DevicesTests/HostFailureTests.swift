import Backends
import TestSupport
import Testing

@Suite("The host's file fails while a guest uses it", .timeLimit(.minutes(10)))
struct HostFailureTests {
  /// Runs the loop until `isDone`, at most 10 s.
  private func run(_ bench: DeviceBench, until isDone: () -> Bool) {
    for _ in 0..<100 where !isDone() { _ = bench.loop.runOnce(timeout: 100_000_000) }
    #expect(isDone(), "the guest hangs")
  }

  private func withIDE(_ file: SealedFile, _ body: (IDEBench) throws -> Void) throws {
    let ide = try IDEBench()
    let storage = try FileStorage(path: file.path, loop: ide.bench.loop, counters: ide.bench.loop.counters)
    defer { storage.close() }
    ide.controller.attachDrive(storage, channel: 0, drive: 0, model: "file", serial: "F1")
    ide.plug()
    try body(ide)
  }

  private func withBlock(_ file: SealedFile, _ body: ((UInt32, UInt64, UInt32) -> UInt8, DeviceBench) throws -> Void)
    throws
  {
    let bench = try DeviceBench()
    let storage = try FileStorage(path: file.path, loop: bench.loop, counters: bench.loop.counters)
    defer { storage.close() }
    let block = try BlockBench(storage, on: bench)
    block.driver.start(1 << 9, queues: 1)
    func request(_ type: UInt32, _ sector: UInt64, _ bytes: UInt32) -> UInt8 {
      block.add(type, sector: sector, readable: type == 1 ? bytes : 0, writable: type == 0 ? bytes : 0)
      block.ring.kick()
      for _ in 0..<100 where block.statusByte == 0xEE {
        _ = bench.loop.runOnce(timeout: 100_000_000)
        block.bench.settle()
      }
      _ = block.ring.takeUsed()
      return block.statusByte
    }
    try body(request, bench)
  }

  @Test("virtio-blk: a read beyond the end of a truncated file is IOERR (1), and the rest can be read")
  func virtioRead() throws {
    let file = try SealedFile(size: 8192)
    try withBlock(file) { request, bench in
      try file.resize(to: 4096)
      #expect(request(0, 0, 8192) == 1)
      #expect(request(0, 8, 512) == 1)
      #expect(request(0, 0, 4096) == 0)
      #expect(bench.counters[.diskErrors] == 2)
    }
  }

  @Test("virtio-blk: a write that the host performs partly or not at all is IOERR")
  func virtioWrite() throws {
    let file = try SealedFile(size: 8192)
    try withBlock(file) { request, bench in
      try file.resize(to: 4096)
      try file.sealGrowth()
      #expect(request(1, 0, 8192) == 1)
      #expect(request(1, 0, 4096) == 0)
      try file.sealWrites()
      #expect(request(1, 0, 512) == 1)
      #expect(bench.counters[.diskErrors] == 2)
    }
  }

  @Test("IDE by DMA: a read beyond the end is UNC, a write that the host refuses is ABRT and a device fault")
  func dma() throws {
    let file = try SealedFile(size: 8192)
    try withIDE(file) { ide in
      try file.resize(to: 4096)
      try file.sealGrowth()
      for (code, direction, status, error) in [(0xC8, 0x08, 0x51, 0x40), (0xCA, 0, 0x71, 0x04)]
        as [(UInt8, UInt8, UInt8, UInt8)]
      {
        ide.table([(0x10000, 8192)])
        ide.command(code, lba: 0, count: 16)
        ide.outb(0xC400, direction | 1)
        run(ide.bench) { ide.busMasterStatus & 0x04 != 0 }
        #expect(ide.status == status && ide.error == error)
        ide.outb(0xC400, 0)
        ide.outb(0xC402, 0x06)
      }
      #expect(ide.bench.counters[.diskErrors] == 2)
    }
  }

  @Test("IDE by PIO: the remaining sectors arrive, the next one is UNC; a write is ABRT and a device fault")
  func pio() throws {
    let file = try SealedFile(size: 8192)
    try withIDE(file) { ide in
      try file.resize(to: 4096)
      try file.sealGrowth()
      ide.command(0x20, lba: 6, count: 4)
      for _ in 0..<2 {
        run(ide.bench) { ide.alternateStatus & 0x80 == 0 }
        #expect(ide.status == 0x58)
        _ = ide.words(256)
      }
      run(ide.bench) { ide.alternateStatus & 0x80 == 0 }
      #expect(ide.status == 0x51 && ide.error == 0x40)
      #expect(ide.inb(0x1F3) == 8, "the first missing sector")
      ide.command(0x30, lba: 8, count: 1)
      ide.put(pattern(512))
      run(ide.bench) { ide.alternateStatus & 0x80 == 0 }
      #expect(ide.status == 0x71 && ide.error == 0x04)
    }
  }
}
