import Backends
import CLinux
import Glibc
import TestSupport
import Testing

@Suite(
  "A disk that cannot keep what the page cache took", .timeLimit(.minutes(1)),
  .enabled(if: SealedDisk.isAvailable, "needs root and a loop device"))
struct FailedFlushTests {
  @Test("the kernel tells of lost pages once: after a flush that failed no later one succeeds")
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
    #expect(bench.run(bench.request(.read, at: 0, Memory(512).list([0..<512]))) == .success)
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

/// A loop device over a file in memory that refuses every write: the page cache takes them, the disk does not. The kernel
/// takes the device away with its last descriptor, however the test ends.
private final class SealedDisk {
  static var isAvailable: Bool { (try? SealedDisk()) != nil }

  let path: String
  private let file: SealedFile
  private let descriptor: Int32

  init() throws {
    file = try SealedFile(size: 1 << 20)
    try file.sealWrites()
    let control = open("/dev/loop-control", O_RDWR | O_CLOEXEC)
    defer { close(control) }
    // struct loop_config of linux/loop.h: fd, block_size, and LO_FLAGS_AUTOCLEAR in info.lo_flags.
    var configuration = [UInt32](repeating: 0, count: 304 / 4)
    configuration[0] = UInt32(bitPattern: file.descriptor)
    configuration[1] = 512
    configuration[15] = 4
    let (loopControlGetFree, loopConfigure): (UInt, UInt) = (0x4C82, 0x4C0A)
    // Another process may take the free one first.
    for _ in 0..<10 {
      let number = clinux_ioctl(control, loopControlGetFree, 0)
      let place = "/dev/loop\(number)"
      let device = open(place, O_RDWR | O_CLOEXEC)
      if clinux_ioctl_pointer(device, loopConfigure, &configuration) == 0 {
        (path, descriptor) = (place, device)
        return
      }
      close(device)
    }
    throw SystemError()
  }

  deinit { close(descriptor) }

  /// fsync's errno by a descriptor of its own.
  func synchronize() -> Int32 {
    let other = open(path, O_RDWR | O_CLOEXEC)
    defer { close(other) }
    return fdatasync(other) == 0 ? 0 : errno
  }

  private struct SystemError: Error {}
}
