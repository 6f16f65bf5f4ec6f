import Failures
import Glibc

/// A kernel or an initial RAM disk.
///
/// The contents of a regular file are copied from the host's page cache straight to guest memory: a `vmlinux` has 60
/// MiB and more.
package final class BootFile: Sendable {
  private enum Contents {
    case bytes([UInt8])
    /// A regular file, open as long as this object exists.
    case descriptor(Int32)
  }

  /// Maximum number of bytes from a pipe.
  private static let limit = 1 << 32

  /// The file's name, for messages.
  package let name: String
  /// Size in bytes.
  package let count: Int
  private let contents: Contents

  package init(_ bytes: [UInt8], name: String) {
    self.name = name
    count = bytes.count
    contents = .bytes(bytes)
  }

  /// Opens `path`. Reads a pipe to its end.
  ///
  /// - Parameter fix: the fix in the `Failure` if there is no such file.
  package init(path: String, fix: String) throws(Failure) {
    let action = "load \(path)"
    let unreadable = "Check that it is a file you may read: ls -l \(path)"
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ENOENT
        ? Failure(action, cause: "there is no such file", fix: fix) : Failure(action, errno: errno, fix: unreadable)
    }
    var isKept = false
    defer { if !isKept { close(descriptor) } }
    var status = stat()
    try systemCall(action) { fstat(descriptor, &status) }
    name = path
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      count = Int(status.st_size)
      contents = .descriptor(descriptor)
      isKept = true
    case S_IFIFO:
      let bytes = try Self.readAll(descriptor, action: action)
      count = bytes.count
      contents = .bytes(bytes)
    default: throw Failure(action, cause: "it is neither a file nor a pipe", fix: unreadable)
    }
  }

  deinit { if case .descriptor(let descriptor) = contents { close(descriptor) } }

  private static func readAll(_ descriptor: Int32, action: String) throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
      if count == 0 { return bytes }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Failure(action, errno: errno) }
      guard bytes.count + count <= limit else {
        throw Failure(
          action, cause: "it is larger than \(limit >> 30) GiB", fix: "Give a kernel or an initial RAM disk.")
      }
      bytes += chunk[..<count]
    }
  }

  /// Copies the bytes of `range`, which must be within the file, to the start of `target`, which must have room for
  /// them.
  func copy(_ range: Range<Int>, to target: UnsafeMutableRawBufferPointer) throws(Failure) {
    switch contents {
    case .bytes(let bytes):
      bytes.withUnsafeBytes { target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[range])) }
    case .descriptor(let descriptor):
      var done = 0
      while done < range.count {
        let count = pread(descriptor, target.baseAddress.map { $0 + done }, range.count - done, range.lowerBound + done)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw Failure("load \(name)", errno: errno, fix: "Copy it to another disk.") }
        guard count > 0 else {
          throw Failure("load \(name)", cause: "it became shorter while it was read", fix: "Run it again.")
        }
        done += count
      }
    }
  }

  /// The bytes of the part of `range` that is within the file.
  func bytes(_ range: Range<Int>) throws(Failure) -> [UInt8] {
    let range = range.clamped(to: 0..<count)
    guard !range.isEmpty else { return [] }
    var bytes = [UInt8](repeating: 0, count: range.count)
    // withUnsafeMutableBytes does not support typed throws.
    let result: Result<Void, Failure> = bytes.withUnsafeMutableBytes { target in
      Result { () throws(Failure) in try copy(range, to: target) }
    }
    try result.get()
    return bytes
  }
}
