import Failures
import Foundation

/// A file in memory that can be made to refuse writes (EPERM) or growth while others have it open. With it, a test can
/// simulate a failing host without being root.
package final class SealedFile: Sendable {
  package let descriptor: Int32
  /// Opens the same file again.
  package var path: String { "/proc/self/fd/\(descriptor)" }

  package init(size: Int = 0) throws {
    // Swift does not import memfd_create, because it is a GNU extension.
    typealias Create = @convention(c) (UnsafePointer<CChar>, UInt32) -> Int32
    guard let symbol = dlsym(nil, "memfd_create") else { throw Failure("find memfd_create", cause: "no such symbol") }
    let allowSealing: UInt32 = 2
    descriptor = unsafeBitCast(symbol, to: Create.self)("swiftlet-test", allowSealing)
    guard descriptor >= 0, ftruncate(descriptor, off_t(size)) == 0 else { throw Failure("make a file", errno: errno) }
  }

  deinit { close(descriptor) }

  package func resize(to size: Int) throws {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw Failure("resize a file", errno: errno) }
  }

  /// From now on every write fails.
  package func sealWrites() throws { try seal(0x0008) }
  /// From now on, a write beyond the end fails after the part that fits.
  package func sealGrowth() throws { try seal(0x0004) }

  private func seal(_ seal: Int32) throws {
    let addSeals: Int32 = 1033
    guard fcntl(descriptor, addSeals, seal) == 0 else { throw Failure("seal a file", errno: errno) }
  }
}
