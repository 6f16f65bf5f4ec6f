import Backends
import Glibc
import TestSupport
import Testing

@Suite(
  "A disk that cannot store pages of the page cache", .timeLimit(.minutes(10)),
  .enabled(if: SealedDisk.isAvailable, "needs root and a loop device"))
struct FailedFlushTests {
  @Test("after a failed flush every later one fails, although the kernel reports lost pages only once")
  func laterFlushes() throws {
    let disk = try SealedDisk()
    let bench = try StorageBench(path: disk.path, .writeback)
    let source = Memory(4096, fill: pattern)
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]))) == .success)
    #expect(bench.run(bench.request(.flush)) == .failed(EIO))
    // The control: the kernel itself now reports success.
    #expect(disk.synchronize() == 0)
    #expect(bench.run(bench.request(.flush)) == .failed(EIO))
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]), isDurable: true)) == .failed(EIO))
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]))) == .success)
    let target = Memory(512)
    #expect(bench.run(bench.request(.read, at: 0, target.list([0..<512]))) == .success)
    withExtendedLifetime(target) {}
  }

  @Test("a failed durable write counts as a failed flush")
  func durableWrite() throws {
    let disk = try SealedDisk()
    let bench = try StorageBench(path: disk.path, .writeback)
    let source = Memory(4096, fill: pattern)
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]), isDurable: true)) == .failed(EIO))
    #expect(bench.run(bench.request(.flush)) == .failed(EIO))
  }

  @Test("with O_DIRECT the write itself fails, so a later flush succeeds")
  func direct() throws {
    let disk = try SealedDisk()
    let bench = try StorageBench(path: disk.path, .none)
    let source = Memory(4096, fill: pattern)
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]))) == .failed(EIO))
    #expect(bench.run(bench.request(.flush)) == .success)
  }
}

/// A loop device over a file in memory that refuses every write: the page cache accepts writes, the disk does not.
private final class SealedDisk {
  static var isAvailable: Bool { LoopDevice.isAvailable }

  let path: String
  private let device: LoopDevice

  init() throws {
    let file = try SealedFile(size: 1 << 20)
    try file.sealWrites()
    device = try LoopDevice(file)
    path = device.path
  }

  /// The errno of fsync on a separate descriptor.
  func synchronize() -> Int32 {
    let other = open(path, O_RDWR | O_CLOEXEC)
    defer { close(other) }
    return fdatasync(other) == 0 ? 0 : errno
  }
}
