import CLinux
import Failures
import Glibc
import GuestMemory
import Synchronization

/// The file behind a storage log: entries gather in a buffer and are written together.
///
/// The first error stays: nothing is written behind an entry that may be torn.
final class StorageLogFile: Sendable {
  /// Bytes that gather before they are written unasked, so that a batch of any size takes no more memory.
  static let bufferLimit = 1 << 20

  private struct State {
    var buffer: [UInt8] = []
    var error: Int32 = 0
  }
  private let path: String
  private let isMade: Bool
  private let descriptor: Int32
  private let state = Mutex(State())

  /// Makes or empties the file at `path` and writes the header.
  init(path: String, sectorCount: UInt64) throws(Failure) {
    let action = "write the disk log \(path)"
    self.path = path
    // Without O_NONBLOCK opening a FIFO would wait.
    (descriptor, isMade) = try OutputFile.open(path, flags: O_RDWR | O_NONBLOCK, action)
    try Self.check(descriptor, action)
    try systemCall(action, mend: "Name another file with log=.") { ftruncate(descriptor, 0) }
    state.withLock { state in
      state.buffer = StorageLogEntry.magic
      for word in [StorageLogEntry.version, 0] {
        withUnsafeBytes(of: word.littleEndian) { state.buffer.append(contentsOf: $0) }
      }
      withUnsafeBytes(of: sectorCount.littleEndian) { state.buffer.append(contentsOf: $0) }
    }
    let error = write()
    guard error == 0 else {
      removeIfMade()
      throw Failure(action, errno: error, mend: "Free some space, or name another file.")
    }
  }

  deinit {
    write()
    clinux_close_locked_file(descriptor)
  }

  /// Takes the file away again if it was not there before. Only who has its lock may: it may be another run's.
  func removeIfMade() { if isMade { unlink(path) } }

  /// Only a new or empty file, or an old log, is written over: a disk image named by mistake stays.
  private static func check(_ descriptor: Int32, _ action: String) throws(Failure) {
    var status = stat()
    try systemCall(action, mend: "Name another file with log=.") { fstat(descriptor, &status) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(action, cause: "it is not a regular file", mend: "Name a new file with log=.")
    }
    guard clinux_lock_file(descriptor, 1) == 0 else {
      throw Failure(action, cause: "a run uses it already", mend: "Name another file with log=.")
    }
    var start = [UInt8](repeating: 0, count: StorageLogEntry.magic.count)
    let count = pread(descriptor, &start, start.count, 0)
    guard status.st_size == 0 || (count == start.count && start == StorageLogEntry.magic) else {
      throw Failure(action, cause: "there is a file that is no disk log", mend: "Name a new file with log=.")
    }
  }

  /// Adds an entry, with the data of `pieces` behind it.
  func append(_ entry: StorageLogEntry, _ pieces: ScatterList = ScatterList()) {
    state.withLock { state in
      guard state.error == 0 else { return }
      entry.append(to: &state.buffer)
      var done = 0
      while done < pieces.count {
        if state.buffer.count >= Self.bufferLimit { write(&state) }
        let start = state.buffer.count
        let count = min(pieces.count - done, max(512, Self.bufferLimit - start))
        state.buffer.append(contentsOf: repeatElement(0, count: count))
        state.buffer.withUnsafeMutableBytes { bytes in
          _ = pieces.copyOut(from: done, into: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
        }
        done += count
      }
      if state.buffer.count >= Self.bufferLimit { write(&state) }
    }
  }

  /// Writes what has gathered; the errno value of the first error there ever was, or 0.
  @discardableResult
  func write() -> Int32 {
    state.withLock { state in
      write(&state)
      return state.error
    }
  }

  private func write(_ state: inout State) {
    var done = 0
    while state.error == 0, done < state.buffer.count {
      let count = state.buffer[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      if count <= 0 { state.error = count < 0 ? errno : EIO } else { done += count }
    }
    state.buffer.removeAll(keepingCapacity: true)
  }

  var error: Int32 { state.withLock { $0.error } }
}
