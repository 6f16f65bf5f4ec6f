import EventLoop
import Failures
import Glibc
import Threads

/// A serial port's output to a file descriptor: standard output, or a file.
///
/// A thread of its own writes, so neither a vCPU nor the loop waits for the reader. It writes complete lines at once,
/// and an incomplete line after 10 ms. While 64 KiB or more wait, the port shows a full transmitter. If the guest
/// ignores this, output beyond 1 MiB is dropped. Output waits until `start`.
public final class DescriptorSerial: SerialBackend {
  private let writer: Writer

  /// Writes to `descriptor`, which stays open.
  public init(descriptor: Int32, name: String) throws(Failure) {
    writer = try Writer(descriptor: descriptor, name: name, file: nil)
  }

  /// Writes to the file at `path`: a new one, or an old text file, which is overwritten.
  public init(path: String) throws(Failure) {
    let file = try OutputFile(
      path, .text, action: "write the serial port to \(path)", what: "a text file", option: "--serial file=")
    writer = try Writer(descriptor: file.descriptor, name: path, file: file)
  }

  /// Starts the thread that writes. It runs `preparing` before anything else.
  public func start(preparing: (@Sendable () -> Void)? = nil) { writer.start(preparing) }

  deinit { finish(within: 1_000_000_000) }

  /// For a run that cannot start: removes the file if this object created it.
  public func removeIfMade() { writer.file?.removeIfMade() }

  public func transmit(_ byte: UInt8) { writer.add(byte) }
  public var hasRoom: Bool { writer.hasRoom }
  public func onRoom(_ body: @escaping @Sendable () -> Void) { writer.roomed.withLock { $0 = body } }

  /// Calls `body` on the writer's thread when a write fails, for example because the reader has gone.
  public func onFailure(_ body: @escaping @Sendable () -> Void) { writer.failed.withLock { $0 = body } }

  /// Why output was lost; nil if none was.
  public var failure: Failure? { writer.failure }

  /// Writes the remaining output and ends the thread. Once `isOver` returns true, output that the reader has not taken
  /// is dropped. Safe to call twice. `transmit` does nothing afterwards.
  public func finish(unless isOver: () -> Bool) { writer.finish(unless: isOver) }

  /// Like `finish(unless:)`, with a time limit in nanoseconds.
  public func finish(within limit: UInt64) {
    let end = MonotonicClock().now &+ limit
    finish { MonotonicClock().now > end }
  }
}

/// The state that the port and the thread of a `DescriptorSerial` share.
private final class Writer: Sendable {
  private static let roomLimit = 64 << 10
  private static let capacity = 1 << 20
  /// The most bytes of one write. A pipe or terminal that has room takes them without blocking.
  private static let piece = 4096
  /// Delay before text without a newline, such as a prompt, is written. In milliseconds.
  private static let patience: Int32 = 10

  private struct State {
    var buffer: [UInt8] = []
    var lost = 0
    var error: Int32 = 0
    var isFinishing = false
    var isAbandoned = false
    var thread: BackgroundThread?
  }
  let file: OutputFile?
  let roomed = Guarded<(@Sendable () -> Void)?>(.leaf, nil)
  let failed = Guarded<(@Sendable () -> Void)?>(.leaf, nil)
  private let descriptor: Int32
  private let name: String
  private let state = Guarded(.leaf, State())
  private let wake: EventDescriptor
  private let ended = Latch()

  init(descriptor: Int32, name: String, file: OutputFile?) throws(Failure) {
    self.descriptor = descriptor
    self.name = name
    self.file = file
    wake = try EventDescriptor()
  }

  func start(_ preparing: (@Sendable () -> Void)?) {
    let thread = BackgroundThread { [self] in
      preparing?()
      run()
    }
    state.withLock { $0.thread = thread }
    thread.start()
  }

  // MARK: The port's side

  func add(_ byte: UInt8) {
    let wakes = state.withLock { state in
      guard state.error == 0, !state.isFinishing, state.buffer.count < Self.capacity else {
        state.lost += 1
        return false
      }
      state.buffer.append(byte)
      return byte == 0x0A || state.buffer.count == 1 || state.buffer.count % Self.piece == 0
    }
    if wakes { wake.signal() }
  }

  /// A port whose output failed is never full, so that the guest goes on.
  var hasRoom: Bool { state.withLock { $0.buffer.count < Self.roomLimit || $0.error != 0 } }

  var failure: Failure? {
    let (error, lost) = state.withLock { ($0.error, $0.lost) }
    if error == EPIPE { return Failure("write the guest's output to \(name)", cause: "its reader has gone") }
    let fix = "Send the output elsewhere with --serial file=FILE."
    if error != 0 { return Failure("write the guest's output to \(name)", errno: error, fix: fix) }
    if lost > 0 {
      return Failure(
        "write the guest's output to \(name)",
        cause: "its reader stopped, the guest did not wait, and \(lost) bytes were dropped", fix: fix)
    }
    return nil
  }

  func finish(unless isOver: () -> Bool) {
    let thread = state.withLock { state in
      state.isFinishing = true
      defer { state.thread = nil }
      return state.thread
    }
    guard let thread else { return }
    wake.signal()
    while !ended.wait(nanoseconds: 10_000_000) {
      guard isOver() else { continue }
      state.withLock { $0.isAbandoned = true }
      wake.signal()
      // The thread may have blocked in a write before it saw the flag.
      thread.interrupt()
    }
    thread.join()
  }

  // MARK: The thread

  private func run() {
    while let piece = next() { write(piece) }
    ended.open()
  }

  /// Waits for the next bytes to write and for room in the descriptor; nil at the end.
  private func next() -> [UInt8]? {
    while true {
      let (count, hasLine, isFinishing, isOver) = state.withLock { state in
        (
          state.buffer.count, state.buffer.count >= Self.piece || state.buffer.contains(0x0A), state.isFinishing,
          state.isAbandoned || state.isFinishing && state.buffer.isEmpty
        )
      }
      if isOver { return nil }
      if count == 0 {
        wait(forRoom: false, milliseconds: -1)
      } else if !hasLine, !isFinishing, wait(forRoom: false, milliseconds: Self.patience) {
        continue
      } else if wait(forRoom: true, milliseconds: -1) {
        return state.withLock { Array($0.buffer.prefix(Self.piece)) }
      }
    }
  }

  /// Waits for `wake`, and with `forRoom` also for room in the descriptor.
  ///
  /// - Returns: whether there is room, or without `forRoom`, whether `wake` was signalled.
  @discardableResult
  private func wait(forRoom: Bool, milliseconds: Int32) -> Bool {
    var descriptors = [pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)]
    if forRoom { descriptors.append(pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)) }
    guard poll(&descriptors, nfds_t(descriptors.count), milliseconds) > 0 else { return false }
    if descriptors[0].revents != 0 { wake.drain() }
    return descriptors[descriptors.count - 1].revents != 0
  }

  private func write(_ piece: [UInt8]) {
    let count = piece.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    let code = errno
    if count < 0, code == EINTR || code == EAGAIN { return }
    let hasRoomAgain = state.withLock { state in
      let before = state.buffer.count
      if count > 0 {
        state.buffer.removeFirst(count)
      } else {
        state.error = count < 0 ? code : EIO
        state.lost += before
        state.buffer.removeAll()
      }
      return before >= Self.roomLimit && state.buffer.count < Self.roomLimit
    }
    if count <= 0 { failed.withLock { $0 }?() }
    if hasRoomAgain { roomed.withLock { $0 }?() }
  }
}
