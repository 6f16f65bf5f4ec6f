import CLinux
import Failures
import Glibc

/// A raw, sparse image that a replay reads or writes. No machine uses it meanwhile.
final class DiskImage {
  private static let chunkSize = 1 << 20

  let descriptor: Int32
  private let path: String
  private let size: UInt64
  private var isMade = false
  private let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkSize, alignment: 4096)

  /// Opens an image for reading. Throws if a machine is writing to it.
  init(reading path: String, sectorCount: UInt64) throws(Failure) {
    let opened = try OpenedDisk(path: path, cache: .writeback, isReadOnly: true)
    self.path = path
    size = sectorCount * 512
    descriptor = opened.descriptor
    guard opened.size == size else {
      throw Failure(
        "use \(path) as the disk before the log",
        cause: "it has \(opened.size / 512) sectors, the log's \(sectorCount)",
        fix: "Use --base with the image as it was before the run.")
    }
  }

  /// Creates an unlinked temporary image.
  init(temporaryOf sectorCount: UInt64) throws(Failure) {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    path = "an image in \(folder)"
    size = sectorCount * 512
    var template = Array("\(folder)/swiftlet-replay-XXXXXX".utf8CString)
    let fix = "Name another directory with TMPDIR=DIRECTORY."
    descriptor = try systemCall("create an image in \(folder)", fix: fix) { mkstemp(&template) }
    unlink(template)
    try setSize()
  }

  /// Creates or truncates the image at `path`. Throws if a machine uses it or if it is one of the files in `others`.
  init(writing path: String, sectorCount: UInt64, sparing others: [Int32]) throws(Failure) {
    let action = "write the disk \(path)"
    self.path = path
    size = sectorCount * 512
    (descriptor, isMade) = try OutputFile.open(path, action)
    do throws(Failure) {
      var status = stat()
      try systemCall(action, fix: "Name another file.") { fstat(descriptor, &status) }
      for other in others {
        var its = stat()
        guard fstat(other, &its) == 0, its.st_dev != status.st_dev || its.st_ino != status.st_ino else {
          throw Failure(action, cause: "the replay reads from it", fix: "Name another file.")
        }
      }
      guard status.st_mode & S_IFMT == S_IFREG, clinux_lock_file(descriptor, 1) == 0 else {
        isMade = false  // Another process owns it, so do not remove it.
        throw Failure(action, cause: "it is not a regular file, or another process uses it", fix: "Name another file.")
      }
      try systemCall(action, fix: "Name another file.") { ftruncate(descriptor, 0) }
      try setSize()
    } catch {
      removeIfMade()
      throw error
    }
  }

  deinit {
    clinux_close_locked_file(descriptor)
    chunk.deallocate()
  }

  /// Removes the file if this object created it.
  func removeIfMade() { if isMade { unlink(path) } }

  private func setSize() throws(Failure) {
    try systemCall("set the size of \(path) to \(size) bytes", fix: "Free some space there.") {
      ftruncate(descriptor, off_t(clamping: size))
    }
  }

  /// Copies the data of `other`, without its holes, into this image, which must be empty.
  func copy(_ other: DiskImage) throws(Failure) {
    var start = lseek(other.descriptor, 0, Int32(CLINUX_SEEK_DATA))
    while start >= 0 {
      let hole = lseek(other.descriptor, start, Int32(CLINUX_SEEK_HOLE))
      // If the file system does not report holes, copy up to the end.
      let end = hole < 0 ? off_t(clamping: size) : hole
      var place = start
      while place < end {
        let count = min(Self.chunkSize, Int(end - place))
        let moved = pread(other.descriptor, chunk.baseAddress, count, place)
        if moved < 0, errno == EINTR { continue }
        guard moved > 0 else {
          throw Failure("read \(other.path)", errno: moved < 0 ? errno : EIO, fix: "Check that no program changes it.")
        }
        try write(moved, at: UInt64(place))
        place += off_t(moved)
      }
      start = lseek(other.descriptor, end, Int32(CLINUX_SEEK_DATA))
    }
  }

  /// Writes a range's data from the log, or its zeroes, to the image.
  func apply(_ range: PendingWrites.Range, from log: StorageLogReader) throws(Failure) {
    if range.data == nil, clinux_punch_hole(descriptor, off_t(range.offset), off_t(range.length)) == 0 { return }
    var done: UInt64 = 0
    while done < range.length {
      let count = Int(min(UInt64(Self.chunkSize), range.length - done))
      if let data = range.data {
        try log.read(at: data + done, into: UnsafeMutableRawBufferPointer(rebasing: chunk[0..<count]))
      } else {
        for index in 0..<count { chunk[index] = 0 }
      }
      try write(count, at: range.offset + done)
      done += UInt64(count)
    }
  }

  /// Writes the first `count` bytes of `chunk`.
  private func write(_ count: Int, at offset: UInt64) throws(Failure) {
    var done = 0
    while done < count {
      let rest = UnsafeRawBufferPointer(rebasing: chunk[done..<count])
      let written = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
      if written < 0, errno == EINTR { continue }
      guard written > 0 else {
        throw Failure("write \(path)", errno: written < 0 ? errno : EIO, fix: "Free some space there.")
      }
      done += written
    }
  }
}
