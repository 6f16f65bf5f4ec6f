import Backends
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory
import Synchronization

/// A network backend over unix datagram sockets, one frame per datagram: the other end of QEMU's `-netdev dgram`.
///
/// Use it on its event loop. While the socket is full, frames wait here, so that none is lost.
package final class DatagramBackend: NetworkBackend, @unchecked Sendable {
  /// Frames read in one turn of the loop.
  private static let batch = 64
  /// Frames that may wait: more than the window of any stream, so that a full queue is an error of the test.
  private static let waitingLimit = 4096
  /// The delay before a retry on a full socket, in nanoseconds, since the loop does not watch for room.
  private static let retryDelay: UInt64 = 100_000

  /// Received IPv4/TCP frames, and how many of them had a correct TCP checksum.
  package struct Tally: Sendable, Equatable {
    package var tcpFrames = 0
    package var rightChecksums = 0
    /// The TCP frames without payload. The backend drops them, as a TCP would.
    package var emptySegments = 0
    /// The longest frame of any kind.
    package var longest = 0
  }

  package let kind = "datagram"
  /// A datagram has no header for offloads, so the backend adapts frames.
  package let acceptedOffloads: NetworkOffloads = []
  package let counters = Counters(owner: "datagram")
  private let descriptor: Int32
  private let remote: String
  private let loop: EventLoop
  private let adapter: FrameAdapter
  private weak var receiver: (any FrameReceiver)?
  private var watch: EventLoop.WatchKey?
  private var timer: LoopTimer?
  private var waiting: [[UInt8]] = []
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 64)
  private let counted = Mutex(Tally())

  /// Creates the socket `local` to receive, and sends to the socket `remote`.
  package init(local: String, remote: String, loop: EventLoop) throws {
    self.remote = remote
    self.loop = loop
    adapter = FrameAdapter(counters: counters)
    let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    descriptor = socket(AF_UNIX, kind, 0)
    guard descriptor >= 0 else { throw Failure("make a socket", errno: errno) }
    guard Self.withAddress(local, { bind(descriptor, $0, $1) }) == 0 else {
      throw Failure("bind the socket \(local)", errno: errno)
    }
    timer = loop.makeTimer { [weak self] in self?.sendWaiting() }
  }

  deinit {
    if let timer { loop.remove(timer) }
    if let watch { loop.remove(watch) }
    close(descriptor)
    buffer.deallocate()
  }

  package var tally: Tally { counted.withLock { $0 } }

  private static func withAddress<Result>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result)
    -> Result
  {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }

  package func connect(_ receiver: (any FrameReceiver)?) {
    loop.sync {
      self.receiver = receiver
      if let watch = self.watch { self.loop.remove(watch) }
      self.watch = receiver == nil ? nil : try? self.loop.watch(self.descriptor) { [weak self] in self?.readFrames() }
    }
  }

  // MARK: To the other end

  package func send(_ frame: Frame) {
    adapter.adapt(frame, to: []) { piece in
      var bytes = [UInt8](repeating: 0, count: piece.count)
      bytes.withUnsafeMutableBytes { _ = piece.pieces.copyOut(into: $0) }
      guard waiting.count < Self.waitingLimit else {
        counters.add(.dropsPortQueueFull)
        return false
      }
      waiting.append(bytes)
      return true
    }
  }

  package func sentBurst() { sendWaiting() }

  private func sendWaiting() {
    var sent = 0
    while sent < waiting.count {
      let bytes = waiting[sent]
      let result = Self.withAddress(remote) { address, size in
        bytes.withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, 0, address, size) }
      }
      if result < 0, errno == EINTR { continue }
      if result < 0, errno == EAGAIN {
        timer?.set(after: Self.retryDelay)
        break
      }
      if result < 0 { counters.add(.dropsTap) }
      sent += 1
    }
    waiting.removeFirst(sent)
  }

  // MARK: From the other end

  private func readFrames() {
    guard let receiver else { return }
    var hasBurst = false
    for _ in 0..<Self.batch {
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
      hasBurst = true
      guard take(UnsafeRawBufferPointer(bytes)) else { continue }
      if receiver.receive(Frame(pieces: ScatterList(bytes))) == .noBuffer { counters.add(.dropsNoReceiveBuffer) }
    }
    if hasBurst { receiver.receivedBurst() }
  }

  /// Counts a frame and returns whether to deliver it.
  private func take(_ frame: UnsafeRawBufferPointer) -> Bool {
    let isRight = Self.tcpChecksumIsRight(frame)
    // Total length of the IP and TCP headers alone.
    let isEmpty = isRight != nil && frame[16] == 0 && frame[17] == 40
    counted.withLock { tally in
      tally.longest = max(tally.longest, frame.count)
      guard let isRight else { return }
      tally.tcpFrames += 1
      if isRight { tally.rightChecksums += 1 }
      if isEmpty { tally.emptySegments += 1 }
    }
    return !isEmpty
  }

  /// Whether TCP's checksum over pseudo-header and segment is correct (RFC 9293, 3.1); nil unless TCP in IPv4.
  ///
  /// Computed separately, since the tests also cover the product's own sum.
  private static func tcpChecksumIsRight(_ frame: UnsafeRawBufferPointer) -> Bool? {
    func half(_ offset: Int) -> UInt32 { UInt32(frame[offset]) << 8 | UInt32(frame[offset + 1]) }
    guard frame.count >= 54, half(12) == 0x0800, frame[14] == 0x45, frame[23] == 6 else { return nil }
    let end = 14 + Int(half(16))
    guard end >= 54, end <= frame.count else { return false }
    var sum = UInt32(6 + end - 34)
    for offset in stride(from: 26, to: end - 1, by: 2) {
      sum += half(offset)
      sum = (sum & 0xFFFF) + sum >> 16
    }
    if end % 2 == 1 { sum += UInt32(frame[end - 1]) << 8 }
    sum = (sum & 0xFFFF) + sum >> 16
    return sum == 0xFFFF
  }

  package func receiverReady() {}
}
