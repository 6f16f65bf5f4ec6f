import Foundation

/// A temporary file of one test in its own folder, removed with this object.
package final class TemporaryFile: Sendable {
  private let folder: TemporaryFolder
  package let path: String

  /// A sparse file of `size` zeroes.
  package init(size: Int) throws {
    folder = try TemporaryFolder()
    path = try folder.makeDiskImage("file", bytes: size)
  }

  /// All bytes; empty if the file cannot be read.
  package var contents: [UInt8] { FileManager.default.contents(atPath: path).map { Array($0) } ?? [] }

  /// One byte; 0 beyond the end.
  package func byte(at offset: Int) -> UInt8 {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    var byte: UInt8 = 0
    pread(descriptor, &byte, 1, off_t(offset))
    return byte
  }

  /// Overwrites a part of the file.
  package func store(_ bytes: [UInt8], at offset: Int = 0) {
    let descriptor = open(path, O_WRONLY)
    _ = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    close(descriptor)
  }
}
