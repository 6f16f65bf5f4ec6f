import CLinux
import Failures
import Glibc

/// A file without a name, for parsers that open a path.
final class FileInMemory {
  let descriptor: Int32
  /// Opens the same file again.
  var path: String { "/proc/self/fd/\(descriptor)" }

  init() throws {
    descriptor = clinux_shared_memory(4096)
    guard descriptor >= 0 else { throw Failure("make a file in memory", errno: errno) }
  }

  deinit { close(descriptor) }

  func replace(by bytes: UnsafeRawBufferPointer) {
    check(ftruncate(descriptor, off_t(bytes.count)) == 0, "the file cannot be resized")
    check(pwrite(descriptor, bytes.baseAddress, bytes.count, 0) == bytes.count, "the file cannot be written")
  }

  var contents: [UInt8] {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return [] }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    let count = pread(descriptor, &bytes, bytes.count, 0)
    return count == bytes.count ? bytes : []
  }
}
