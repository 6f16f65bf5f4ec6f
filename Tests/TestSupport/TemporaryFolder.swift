import Failures
import Foundation

/// A temporary folder of one test, removed with its contents when the last reference is released.
package final class TemporaryFolder: Sendable {
  package let path: String

  /// Makes a folder with a short path, since a socket's path has at most 107 bytes.
  ///
  /// - Parameter isRemovedAtEnd: whether it is also removed when this process ends, in whatever way.
  package init(isRemovedAtEnd: Bool = false) throws {
    var template = Array("/tmp/swiftlet-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure("make a folder in /tmp", errno: errno) }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    if isRemovedAtEnd { try Janitor.shared.removeAtEnd(path) }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of `name` in the folder.
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

  /// The first `count` bytes of a file.
  package func read(_ name: String, count: Int) throws -> [UInt8] {
    let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file(name)))
    defer { try? handle.close() }
    return try Array(handle.read(upToCount: count) ?? Data())
  }
}
