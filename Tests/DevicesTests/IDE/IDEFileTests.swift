import Backends
import TestSupport
import Testing

@Suite("IDE on a raw file", .timeLimit(.minutes(10)))
struct IDEFileTests {
  @Test("unaligned regions reach the file through a bounce buffer, aligned ones directly", arguments: [false, true])
  func file(isOdd: Bool) throws {
    let file = try TemporaryFile(size: 1 << 20)
    let ide = try IDEBench()
    let storage = try FileStorage(
      path: file.path, cache: .none, loop: ide.bench.loop, counters: ide.bench.loop.counters)
    ide.controller.attachDrive(storage, channel: 0, drive: 0, model: "file", serial: "F1")
    ide.plug()
    func run(_ code: UInt8, _ bmic: UInt8) {
      ide.command(code, lba: 16, count: 8)
      ide.outb(0xC400, bmic | 1)
      var rounds = 0
      while ide.busMasterStatus & 0x04 == 0, rounds < 100 {
        ide.bench.loop.runOnce(timeout: 100_000_000)
        rounds += 1
      }
      #expect(ide.busMasterStatus == 0x04)
      #expect(ide.status == 0x50)
      ide.outb(0xC400, 0)
      ide.outb(0xC402, 0x06)
    }
    let shift: UInt32 = isOdd ? 2 : 0
    ide.bench.store(pattern(4096), at: 0x10000 + UInt64(shift))
    ide.table([(0x10000 + shift, 1024), (0x10400 + shift, 3072)])
    run(0xCA, 0x00)
    ide.table([(0x20000 + shift, 2048), (0x30000 + shift, 2048)])
    run(0xC8, 0x08)
    #expect(ide.bench.bytes(at: 0x20000 + UInt64(shift), count: 2048) == Array(pattern(4096)[..<2048]))
    #expect(ide.bench.bytes(at: 0x30000 + UInt64(shift), count: 2048) == Array(pattern(4096)[2048...]))
    // O_DIRECT needs an alignment of 4 to 512 bytes; PRDs have 2.
    #expect(ide.bench.loop.counters[.bounces] == (isOdd ? 2 : 0))
    storage.close()
    ide.controller.detach()
  }
}
