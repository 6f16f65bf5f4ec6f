import CLinux
import Counters
import Failures
import Glibc
import GuestMemory
import Synchronization

/// A pcap file (libpcap's classic format with nanoseconds) of all frames between a NIC and its backend.
///
/// Frames are captured as they would be on the wire: with complete checksums, and large sends segmented. Used on the
/// backend's loop.
// Unchecked: only the loop's thread uses `buffer`.
public final class PacketCapture: NetworkBackend, @unchecked Sendable {
  public var kind: String { backend.kind }
  private let backend: any NetworkBackend
  private let output: OutputFile
  private let adapter: FrameAdapter
  private let tee: ReceivingSide
  private var buffer: [UInt8] = []
  /// The errno value of the first failed write. Nothing more is written, because the last record may be incomplete.
  private let error = Atomic<Int32>(0)
  /// The magic numbers of libpcap's classic format, with nanoseconds and without.
  private static let magics: [[UInt8]] = [[0x4D, 0x3C, 0xB2, 0xA1], [0xD4, 0xC3, 0xB2, 0xA1]]

  /// Captures the frames that pass `backend` into the file at `path`.
  public init(_ backend: any NetworkBackend, path: String, counters: Counters) throws(Failure) {
    self.backend = backend
    adapter = FrameAdapter(counters: counters)
    tee = ReceivingSide()
    output = try OutputFile(
      path, .magic(Self.magics), action: "write the capture \(path)", what: "a capture", option: "pcap=")
    // The loop's thread writes it. A pipe or terminal without a reader would block the loop forever.
    guard output.neverBlocks else {
      throw Failure(
        "write the capture \(path)", cause: "it is a pipe or a terminal, and its reader may stop",
        fix: "Name a file with pcap=.")
    }
    // Magic for nanoseconds, version 2.4, UTC, 0, longest frame, Ethernet.
    tee.capture = self
    for word in [0xA1B2_3C4D, 0x0004_0002, 0, 0, 0x0004_0000, 1] as [UInt32] { append(word) }
  }

  deinit { flush() }

  /// For a run that cannot start: removes the file if this object created it.
  public func removeIfMade() { output.removeIfMade() }

  /// Why the capture is incomplete; nil while it is complete.
  public var failure: Failure? {
    let code = error.load(ordering: .relaxed)
    return code == 0
      ? nil
      : Failure(
        "write the capture \(output.path)", errno: code, fix: "The capture ends there. Free some space and run again.")
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
    if error.load(ordering: .relaxed) == 0 {
      let code = output.write(buffer)
      if code != 0 { error.store(code, ordering: .relaxed) }
    }
    buffer.removeAll(keepingCapacity: true)
  }

  // MARK: The NIC's side

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

  // MARK: The backend's side

  /// Stands in for the NIC, and records the frames that it accepts or discards.
  // Unchecked: only the loop's thread uses its variables.
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
