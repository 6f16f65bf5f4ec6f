import Failures
import Foundation
import Glibc

/// A file without a name: nothing is left behind, however the program ends.
package final class UnnamedFile: Sendable {
  package let descriptor: Int32

  /// - Parameters:
  ///   - folder: where the file system puts its data.
  ///   - size: its length in bytes, all zeroes.
  package init(in folder: String, size: Int = 0) throws(Failure) {
    let fix = "Name another folder with TMPDIR=FOLDER."
    var path = Array((folder + "/swiftlet-XXXXXX").utf8CString)
    let action = "make a file of \(size) bytes in \(folder)"
    let made = try systemCall(action, fix: fix) { mkstemp(&path) }
    _ = fcntl(made, F_SETFD, FD_CLOEXEC)
    unlink(path)
    descriptor = made
    guard ftruncate(made, off_t(size)) == 0 else { throw Failure(action, errno: errno, fix: fix) }
  }

  deinit { close(descriptor) }

  /// A path that leads to the file for as long as this process has it open. A child may use it too.
  package var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

  package func write(_ bytes: [UInt8]) throws(Failure) {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(done)) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Failure("write a temporary file", errno: count < 0 ? errno : ENOSPC) }
      done += count
    }
  }
}
