import CLinux
import Failures
import Glibc

/// A file that a command writes: a new file, or an old one of the same kind. It is locked while the command uses it.
///
/// A disk image, a block device or a file with other binary contents is never overwritten. A terminal, a pipe or a device such
/// as /dev/null is written without these checks.
public final class OutputFile: Sendable {
  /// The contents that may be overwritten, judged by the file's first bytes.
  public enum Kind: Sendable {
    /// Text: no zero byte.
    case text
    /// The file is empty or begins with one of these.
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
  /// Whether this object created the file.
  private let isMade: Bool
  let isRegular: Bool
  /// Whether a write never waits for a reader. False for a pipe, a socket and a terminal.
  let neverBlocks: Bool

  /// Opens the file at `path`, and empties it unless `keepsContents`.
  ///
  /// - Parameters:
  ///   - action: the action for error messages, for example `write the capture F`.
  ///   - what: the kind of contents for error messages, for example `a capture`.
  ///   - option: the option that names the file, for example `pcap=`.
  ///   - keepsContents: whether an old file keeps its contents until `replaceContents`.
  /// - Throws: `Failure` if the file cannot be written, if another run uses it, or if it has contents of another kind.
  public init(
    _ path: String, _ kind: Kind, action: String, what: String, option: String, keepsContents: Bool = false
  ) throws(Failure) {
    self.path = path
    self.action = action
    let another = "Name another file with \(option)."
    var status = stat()
    // Checked before the open, because opening some devices has side effects.
    guard stat(path, &status) != 0 || status.st_mode & S_IFMT != S_IFBLK else {
      throw Failure(action, cause: "it is a block device, and this would overwrite it", fix: another)
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
      throw Failure(action, cause: "another run uses it", fix: another)
    }
    var start = [UInt8](repeating: 0, count: 4096)
    let count = max(0, pread(opened, &start, start.count, 0))
    guard kind.accepts(start[..<count]) else {
      throw Failure(action, cause: "the file exists and is not \(what)", fix: "Name a new file with \(option).")
    }
    if !keepsContents { try systemCall(action, fix: another) { ftruncate(opened, 0) } }
  }

  /// Opens the file at `path`, and returns whether this call created it. If two runs open one new file, only one does.
  static func open(_ path: String, _ action: String) throws(Failure) -> (descriptor: Int32, isMade: Bool) {
    // Without O_NONBLOCK, opening a FIFO would block.
    let flags = O_RDWR | O_NONBLOCK | O_CREAT | O_CLOEXEC
    let made = Glibc.open(path, flags | O_EXCL, 0o644)
    if made >= 0 { return (made, true) }
    let fix = "Name a file in a writable directory."
    return (try systemCall(action, fix: fix) { Glibc.open(path, flags, 0o644) }, false)
  }

  deinit { clinux_close_locked_file(descriptor) }

  /// Replaces the file's contents with `bytes`.
  public func replaceContents(with bytes: [UInt8]) throws(Failure) {
    if isRegular { try systemCall(action) { ftruncate(descriptor, 0) } }
    let code = write(bytes)
    guard code == 0 else { throw Failure(action, errno: code, fix: "Free some space, or name another file.") }
  }

  /// Writes all of `bytes` after the bytes written before.
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

  /// For a command that fails early: removes the file if this object created it and its path still names it.
  public func removeIfMade() {
    var mine = stat()
    var named = stat()
    guard isMade, fstat(descriptor, &mine) == 0, lstat(path, &named) == 0, mine.st_dev == named.st_dev,
      mine.st_ino == named.st_ino
    else { return }
    unlink(path)
  }
}
