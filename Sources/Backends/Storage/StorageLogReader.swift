import Failures
import Glibc

/// Reads a storage log entry by entry. The file is not trusted: every field is checked.
///
/// If the log is cut off within an entry, as after a killed VMM, it ends before that entry.
public final class StorageLogReader {
  private static let windowSize = 1 << 16

  public let path: String
  public let sectorCount: UInt64
  /// Entries read so far.
  public private(set) var count = 0
  /// Bytes of an incomplete entry at the end. Valid once `next` has returned nil.
  public private(set) var cutOff: UInt64 = 0

  let descriptor: Int32
  private let size: UInt64
  private var position = UInt64(StorageLogEntry.headerSize)
  /// Bytes read ahead, from `windowStart` on.
  private let window = UnsafeMutableRawBufferPointer.allocate(byteCount: windowSize, alignment: 16)
  private var windowStart: UInt64 = 0
  private var windowCount: UInt64 = 0
  private var nextNumber: UInt64 = 0
  private var inFlight: [UInt64: StorageLogEntry.Operation] = [:]

  /// - Throws: `Failure` if the file cannot be read or is not a log.
  public init(path: String) throws(Failure) {
    let action = "read the disk log \(path)"
    self.path = path
    descriptor = try systemCall(action, fix: "Record one: swiftlet run … --disk file=F,log=\(path)") {
      open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    }
    var status = stat()
    var header = [UInt8](repeating: 0, count: StorageLogEntry.headerSize)
    let isRead = fstat(descriptor, &status) == 0 && pread(descriptor, &header, header.count, 0) == header.count
    let (version, sectors) = header.withUnsafeBytes { bytes in
      (
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)),
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
      )
    }
    sectorCount = sectors
    size = UInt64(clamping: status.st_size)
    guard isRead, header.starts(with: StorageLogEntry.magic) else {
      throw Failure(
        action, cause: "it is not a disk log", fix: "Name the file from log=FILE of swiftlet run's --disk.")
    }
    guard version == StorageLogEntry.version, sectors > 0, sectors <= 1 << 46 else {
      throw Failure(
        action, cause: "its header has version \(version) and \(sectors) sectors",
        fix: "Record it again with this version of swiftlet.")
    }
  }

  deinit {
    close(descriptor)
    window.deallocate()
  }

  /// Goes back to the first entry.
  public func rewind() {
    position = UInt64(StorageLogEntry.headerSize)
    count = 0
    nextNumber = 0
    inFlight = [:]
  }

  /// The next entry; nil at the end.
  ///
  /// - Throws: `Failure` if the entry is invalid or the file cannot be read.
  public func next() throws(Failure) -> StorageLogEntry? {
    guard size > position, size - position >= UInt64(StorageLogEntry.size) else { return atEnd() }
    if position < windowStart || position - windowStart + UInt64(StorageLogEntry.size) > windowCount {
      try fillWindow()
    }
    let start = Int(position - windowStart)
    let fields = UnsafeRawBufferPointer(rebasing: window[start..<start + StorageLogEntry.size])
    guard var entry = StorageLogEntry(fields, sectorCount: sectorCount), isExpected(entry) else {
      throw Failure(
        "read the disk log \(path)", cause: "entry \(count + 1), at byte \(position), is damaged",
        fix: "The entries before it can be used: --at \(count) or less.")
    }
    let dataStart = position + UInt64(StorageLogEntry.size)
    guard entry.dataCount <= size - dataStart else { return atEnd() }
    entry.dataPosition = dataStart
    position = dataStart + entry.dataCount
    note(entry)
    return entry
  }

  private func atEnd() -> StorageLogEntry? {
    cutOff = size > position ? size - position : 0
    return nil
  }

  private func fillWindow() throws(Failure) {
    let count = min(UInt64(Self.windowSize), size - position)
    windowCount = 0
    try read(at: position, into: UnsafeMutableRawBufferPointer(rebasing: window[0..<Int(count)]))
    windowStart = position
    windowCount = count
  }

  /// Whether the entry may follow the entries before it.
  private func isExpected(_ entry: StorageLogEntry) -> Bool {
    switch entry.kind {
    case .submitted: entry.number == nextNumber
    case .completed: inFlight[entry.number] == entry.operation
    }
  }

  private func note(_ entry: StorageLogEntry) {
    count += 1
    switch entry.kind {
    case .submitted:
      nextNumber += 1
      inFlight[entry.number] = entry.operation
    case .completed: inFlight[entry.number] = nil
    }
  }

  /// The number of changes and flushes in flight at the entry read last.
  public var underWay: Int { inFlight.count }

  /// Fills `bytes` from byte `position` of the file.
  func read(at position: UInt64, into bytes: UnsafeMutableRawBufferPointer) throws(Failure) {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
      let count = pread(descriptor, rest.baseAddress, rest.count, off_t(clamping: position) + off_t(done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw Failure("read the disk log \(path)", errno: count < 0 ? errno : EIO, fix: "Copy it again.")
      }
      done += count
    }
  }
}
