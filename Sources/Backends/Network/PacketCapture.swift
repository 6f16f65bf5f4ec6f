import CLinux
import Counters
import Failures
import Glibc
import GuestMemory

/// A pcap file (libpcap's classic format with nanoseconds) of everything that passes between a NIC and its backend.
///
/// Frames are captured as a wire would carry them: checksums completed, large sends cut. Used on the backend's loop.
public final class PacketCapture: NetworkBackend, @unchecked Sendable {
  public var kind: String { backend.kind }
  private let backend: any NetworkBackend
  private let descriptor: Int32
  private let adapter: FrameAdapter
  private let tee: ReceivingSide
  private var buffer: [UInt8] = []

  /// Captures what goes through `backend` into a new file.
  public init(_ backend: any NetworkBackend, path: String, counters: Counters) throws(Failure) {
    self.backend = backend
    adapter = FrameAdapter(counters: counters)
    tee = ReceivingSide()
    descriptor = try OutputFile.open(path, flags: O_WRONLY | O_TRUNC, "write the capture \(path)").descriptor
    // Magic for nanoseconds, version 2.4, UTC, longest frame, Ethernet.
    tee.capture = self
    for word in [0xA1B2_3C4D, 0x0004_0002, 0, 0, 0x0004_0000, 1] as [UInt32] { append(word) }
  }

  deinit {
    flush()
    close(descriptor)
  }

  private func append(_ word: UInt32) { withUnsafeBytes(of: word.littleEndian) { buffer.append(contentsOf: $0) } }

  private func record(_ frame: Frame) {
    adapter.adapt(frame, to: []) { piece in
      var now = timespec()
      clock_gettime(CLOCK_REALTIME, &now)
      append(UInt32(truncatingIfNeeded: now.tv_sec))
      append(UInt32(truncatingIfNeeded: now.tv_nsec))
      append(UInt32(truncatingIfNeeded: piece.count))
      append(UInt32(truncatingIfNeeded: piece.count))
      let start = buffer.count
      buffer.append(contentsOf: repeatElement(0, count: piece.count))
      buffer.withUnsafeMutableBytes { bytes in
        _ = piece.pieces.copyOut(into: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
      }
      if buffer.count >= 1 << 16 { flush() }
      return true
    }
  }

  private func flush() {
    var done = 0
    while done < buffer.count {
      let count = buffer[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      done += count
    }
    buffer.removeAll(keepingCapacity: true)
  }

  // MARK: What the NIC sees

  public var acceptedOffloads: NetworkOffloads { backend.acceptedOffloads }

  public func connect(_ receiver: (any FrameReceiver)?) {
    tee.receiver = receiver
    backend.connect(receiver == nil ? nil : tee)
  }

  public func send(_ frame: Frame) {
    record(frame)
    backend.send(frame)
  }

  public func sentBurst() {
    backend.sentBurst()
    flush()
  }

  public func receiverReady() { backend.receiverReady() }

  // MARK: What the backend sees

  /// Stands in for the NIC, and records what it takes.
  private final class ReceivingSide: FrameReceiver, @unchecked Sendable {
    var receiver: (any FrameReceiver)?
    weak var capture: PacketCapture?

    var acceptedOffloads: NetworkOffloads { receiver?.acceptedOffloads ?? [] }

    func receive(_ frame: Frame) -> FrameDelivery {
      let delivery = receiver?.receive(frame) ?? .discarded
      if delivery != .noBuffer { capture?.record(frame) }
      return delivery
    }

    func receivedBurst() {
      receiver?.receivedBurst()
      capture?.flush()
    }

    func setLink(up: Bool) { receiver?.setLink(up: up) }
  }
}
