import Backends
import GuestMemory
import Synchronization

/// A network backend that records the frames that a NIC sends, and offers it the test's frames.
package final class RecordedNetwork: NetworkBackend {
  package struct SentFrame: Sendable, Equatable {
    package var bytes: [UInt8]
    package var checksum: PartialChecksum?
    package var segmentation: Segmentation?

    package init(bytes: [UInt8], checksum: PartialChecksum? = nil, segmentation: Segmentation? = nil) {
      self.bytes = bytes
      self.checksum = checksum
      self.segmentation = segmentation
    }
  }
  private struct State {
    var sent: [SentFrame] = []
    var waiting: [Frame] = []
    var receiver: (any FrameReceiver)?
    var bursts = 0
    var sending: (@Sendable () -> Void)?
  }
  package let kind = "recorded"
  package let acceptedOffloads: NetworkOffloads
  private let state = Mutex(State())

  package init(acceptedOffloads: NetworkOffloads = [.checksum, .tso4, .tso6]) {
    self.acceptedOffloads = acceptedOffloads
  }

  package var sent: [SentFrame] { state.withLock { $0.sent } }
  package var bursts: Int { state.withLock { $0.bursts } }
  /// The number of frames without a buffer, which wait for `receiverReady`.
  package var waitingCount: Int { state.withLock { $0.waiting.count } }

  package func connect(_ receiver: (any FrameReceiver)?) { state.withLock { $0.receiver = receiver } }

  package func send(_ frame: Frame) {
    var bytes = [UInt8](repeating: 0, count: frame.count)
    bytes.withUnsafeMutableBytes { _ = frame.pieces.copyOut(into: $0) }
    let kept = SentFrame(bytes: bytes, checksum: frame.checksum, segmentation: frame.segmentation)
    let sending = state.withLock { state in
      state.sent.append(kept)
      return state.sending
    }
    sending?()
  }

  /// Runs `action` as each frame is sent, to play a concurrent guest; nil removes it.
  package func whileSending(_ action: (@Sendable () -> Void)?) { state.withLock { $0.sending = action } }

  /// Reports the link state to the NIC, as a tap does.
  package func setLink(up: Bool) { state.withLock { $0.receiver }?.setLink(up: up) }

  package func sentBurst() { state.withLock { $0.bursts += 1 } }

  /// Offers one frame; it waits here when the NIC has no buffer.
  @discardableResult
  package func offer(
    _ bytes: [UInt8], checksum: PartialChecksum? = nil, segmentation: Segmentation? = nil, isVerified: Bool = false
  ) -> FrameDelivery {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    buffer.copyBytes(from: bytes)
    var frame = Frame(pieces: ScatterList(buffer), checksum: checksum, segmentation: segmentation)
    frame.isChecksumVerified = isVerified
    guard let receiver = state.withLock({ $0.receiver }) else { return .discarded }
    let delivery = receiver.receive(frame)
    receiver.receivedBurst()
    if delivery == .noBuffer { state.withLock { $0.waiting.append(frame) } } else { buffer.deallocate() }
    return delivery
  }

  package func receiverReady() {
    guard let receiver = state.withLock({ $0.receiver }) else { return }
    while let frame = state.withLock({ $0.waiting.first }) {
      if receiver.receive(frame) == .noBuffer { break }
      state.withLock { _ = $0.waiting.removeFirst() }
      for piece in frame.pieces.pieces { piece.iov_base.deallocate() }
    }
    receiver.receivedBurst()
  }
}
