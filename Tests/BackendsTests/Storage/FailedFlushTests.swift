import Backends
import Glibc
import TestSupport
import Testing

@Suite(
  "A disk that cannot keep what the page cache took", .timeLimit(.minutes(1)),
  .enabled(if: SealedDisk.isAvailable, "needs root and a loop device"))
struct FailedFlushTests {
  @Test("the kernel reports lost pages once: after a failed flush no later one succeeds")
  func laterFlushes() throws {
    let disk = try SealedDisk()
    let bench = try StorageBench(path: disk.path, .writeback)
    let source = Memory(4096, fill: pattern)
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]))) == .success)
    #expect(bench.run(bench.request(.flush)) == .failed(EIO))
    // The control: the kernel itself now says that all is well.
    #expect(disk.synchronize() == 0)
    #expect(bench.run(bench.request(.flush)) == .failed(EIO))
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]), isDurable: true)) == .failed(EIO))
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]))) == .success)
    let target = Memory(512)
    #expect(bench.run(bench.request(.read, at: 0, target.list([0..<512]))) == .success)
    withExtendedLifetime(target) {}
  }

  @Test("a durable write that failed counts as well")
  func durableWrite() throws {
    let disk = try SealedDisk()
    let bench = try StorageBench(path: disk.path, .writeback)
    let source = Memory(4096, fill: pattern)
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]), isDurable: true)) == .failed(EIO))
    #expect(bench.run(bench.request(.flush)) == .failed(EIO))
  }

  @Test("with O_DIRECT the write itself fails, nothing is lost, and a flush says so")
  func direct() throws {
    let disk = try SealedDisk()
    let bench = try StorageBench(path: disk.path, .none)
    let source = Memory(4096, fill: pattern)
    #expect(bench.run(bench.request(.write, at: 0, source.list([0..<4096]))) == .failed(EIO))
    #expect(bench.run(bench.request(.flush)) == .success)
  }
}

/// A loop device over a file in memory that refuses every write: the page cache takes them, the disk does not.
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

  /// fsync's errno by a descriptor of its own.
  func synchronize() -> Int32 {
    let other = open(path, O_RDWR | O_CLOEXEC)
    defer { close(other) }
    return fdatasync(other) == 0 ? 0 : errno
  }
}
