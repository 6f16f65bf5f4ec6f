import CLinux
import Failures
import Glibc
import GuestMemory
import Threads

/// The file of a storage log. It collects entries in a buffer and writes them together.
///
/// After the first error nothing more is written, because the last entry may be incomplete.
final class StorageLogFile: Sendable {
  /// Bytes after which the buffer is written without a call of `write`, so that its size is bounded.
  static let bufferLimit = 1 << 20

  private struct State {
    var buffer: [UInt8] = []
    var error: Int32 = 0
  }
  private let output: OutputFile
  private let state = Guarded(.leaf, State())

  /// Creates or truncates the file at `path` and writes the header.
  init(path: String, sectorCount: UInt64) throws(Failure) {
    let action = "write the disk log \(path)"
    output = try OutputFile(path, .magic([StorageLogEntry.magic]), action: action, what: "a disk log", option: "log=")
    guard output.isRegular else {
      throw Failure(action, cause: "it is not a regular file", fix: "Name a new file with log=.")
    }
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
      throw Failure(action, errno: error, fix: "Free some space, or name another file.")
    }
  }

  deinit { write() }

  /// For a run that cannot start: removes the file if this object created it.
  func removeIfMade() { output.removeIfMade() }

  /// Adds an entry, followed by the data of `pieces`.
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

  /// Writes the buffer. Returns the errno value of the first error since the start, or 0.
  @discardableResult
  func write() -> Int32 {
    state.withLock { state in
      write(&state)
      return state.error
    }
  }

  private func write(_ state: inout State) {
    if state.error == 0 { state.error = output.write(state.buffer) }
    state.buffer.removeAll(keepingCapacity: true)
  }

  var error: Int32 { state.withLock { $0.error } }
}
