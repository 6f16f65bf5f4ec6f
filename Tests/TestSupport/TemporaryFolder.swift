import Failures
import Foundation

/// A folder of one test's own, removed with all that is in it when the last reference goes.
package final class TemporaryFolder: Sendable {
  package let path: String

  /// Its path is short, since a socket's may have 107 bytes at most.
  ///
  /// - Parameter isRemovedAtEnd: whether it goes with this process, however that ends, if not before.
  package init(isRemovedAtEnd: Bool = false) throws {
    var template = Array("/tmp/swiftlet-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure("make a folder in /tmp", errno: errno) }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    if isRemovedAtEnd { try Janitor.shared.removeAtEnd(path) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of `name` in it.
  package func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Makes a sparse file of zeroes.
  package func makeDiskImage(_ name: String, megabytes: Int) throws -> String {
    try makeDiskImage(name, bytes: megabytes << 20)
  }

  package func makeDiskImage(_ name: String, bytes: Int) throws -> String {
    let path = file(name)
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
    guard descriptor >= 0 else { throw Failure("make \(path)", errno: errno) }
    defer { close(descriptor) }
    guard ftruncate(descriptor, bytes) == 0 else { throw Failure("size \(path)", errno: errno) }
    return path
  }

  /// Bytes from the beginning of a file.
  package func read(_ name: String, count: Int) throws -> [UInt8] {
    let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file(name)))
    defer { try? handle.close() }
    return try Array(handle.read(upToCount: count) ?? Data())
  }
}
