import CLinux
import Failures
import Glibc

/// A file that a command writes: a new one, or an old one of the same kind. It is locked while the command uses it.
///
/// A file of another kind is never overwritten: a disk image, a block device, a file with other contents. A terminal, a
/// pipe or a device such as /dev/null is written as it is.
public final class OutputFile: Sendable {
  /// What a file that is written over may hold, by its first bytes.
  public enum Kind: Sendable {
    /// Any text: no byte is zero.
    case text
    /// It begins with one of these.
    case magic([[UInt8]])

    func accepts(_ start: ArraySlice<UInt8>) -> Bool {
      switch self {
      case .text: !start.contains(0)
      case .magic(let magics): start.isEmpty || magics.contains { start.starts(with: $0) }
      }
    }
  }

  public let path: String
  public let descriptor: Int32
  private let action: String
  /// This object created the file.
  private let isMade: Bool
  let isRegular: Bool
  /// A write ends by itself: not so for a pipe, a socket or a terminal, which wait for a reader.
  let neverBlocks: Bool

  /// Opens the file at `path`, and empties it unless `keepsContents`.
  ///
  /// - Parameters:
  ///   - action: what the file is opened for, as `write the capture F`.
  ///   - what: what it will hold, as `capture`.
  ///   - option: the option that names another file, as `pcap=`.
  ///   - keepsContents: an old file stays as it is until `replaceContents`.
  /// - Throws: `Failure` when it may not be written, when another run or a disk uses it, or when it holds something else.
  public init(
    _ path: String, _ kind: Kind, action: String, what: String, option: String, keepsContents: Bool = false
  ) throws(Failure) {
    self.path = path
    self.action = action
    let another = "Name another file with \(option)."
    var status = stat()
    // Before the open, because opening some devices has an effect.
    guard stat(path, &status) != 0 || status.st_mode & S_IFMT != S_IFBLK else {
      throw Failure(action, cause: "it is a block device, and would be overwritten", fix: another)
    }
    (descriptor, isMade) = try Self.open(path, action)
    let opened = descriptor
    fstat(opened, &status)
    isRegular = status.st_mode & S_IFMT == S_IFREG
    neverBlocks = isRegular || status.st_mode & S_IFMT == S_IFCHR && isatty(opened) == 0
    guard isRegular else {
      _ = fcntl(opened, F_SETFL, fcntl(opened, F_GETFL) & ~O_NONBLOCK)
      return
    }
    guard clinux_lock_file(opened, 1) == 0 else {
      throw Failure(action, cause: "a run uses it already", fix: another)
    }
    var start = [UInt8](repeating: 0, count: 4096)
    let count = max(0, pread(opened, &start, start.count, 0))
    guard kind.accepts(start[..<count]) else {
      throw Failure(action, cause: "there is a file that is no \(what)", fix: "Name a new file with \(option).")
    }
    if !keepsContents { try systemCall(action, fix: another) { ftruncate(opened, 0) } }
  }

  /// Opens the file at `path`, and returns whether this call created it: of two runs that name one new file, one does.
  static func open(_ path: String, _ action: String) throws(Failure) -> (descriptor: Int32, isMade: Bool) {
    // Without O_NONBLOCK opening a FIFO would wait.
    let flags = O_RDWR | O_NONBLOCK | O_CREAT | O_CLOEXEC
    let made = Glibc.open(path, flags | O_EXCL, 0o644)
    if made >= 0 { return (made, true) }
    let fix = "Name a file in a folder you may write to."
    return (try systemCall(action, fix: fix) { Glibc.open(path, flags, 0o644) }, false)
  }

  deinit { clinux_close_locked_file(descriptor) }

  /// Writes `bytes` in place of what the file holds.
  public func replaceContents(with bytes: [UInt8]) throws(Failure) {
    if isRegular { try systemCall(action) { ftruncate(descriptor, 0) } }
    let code = write(bytes)
    guard code == 0 else { throw Failure(action, errno: code, fix: "Free some space, or name another file.") }
  }

  /// Writes all of `bytes`, at the end of what was written before.
  ///
  /// - Returns: 0, or the errno value of the failure.
  func write(_ bytes: [UInt8]) -> Int32 {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      if count <= 0 { return count < 0 ? errno : EIO }
      done += count
    }
    return 0
  }

  /// For a command that fails early: removes the file if this object created it and its name still leads to it.
  public func removeIfMade() {
    var mine = stat()
    var named = stat()
    guard isMade, fstat(descriptor, &mine) == 0, lstat(path, &named) == 0, mine.st_dev == named.st_dev,
      mine.st_ino == named.st_ino
    else { return }
    unlink(path)
  }
}
