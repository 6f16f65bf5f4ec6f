import Backends
import CLinux
import EventLoop
import Failures
import GuestMemory
import Synchronization
import Threads
import Workload

/// The measuring end of a network stream. It answers a guest's requests, sends streams, and verifies the guest's.
///
/// Runs on the switch's event loop. Its time there is counted separately, because it is not a cost of the VMM.
// Unchecked: only the loop's thread uses its variables.
package final class StreamEndpoint: FrameReceiver, @unchecked Sendable {
  /// 02:00:00:00:00:01, with the first byte in the lowest place.
  package static let address: UInt64 = 0x0100_0000_0002
  private static let batch = 32
  /// How long `receive` waits for the end of a stream after its time, in nanoseconds.
  private static let patience: UInt64 = 30_000_000_000

  private struct Reply {
    var kind: TestStream.Kind
    var target: UInt64
    var values: (UInt64, UInt64, UInt64)
  }

  /// A stream that the guest requested.
  private struct Source {
    var target: UInt64
    var frameBytes: Int
    var deadline: UInt64
    var offset: UInt64 = 0
    var credit: UInt64 = 0
    var hasBegun = false
  }

  package let acceptedOffloads: NetworkOffloads = [.checksum, .tso4, .tso6]
  private let ownAddress: UInt64
  private let backend: any NetworkBackend
  private let loop: EventLoop
  /// Opened when a stream that this endpoint receives has ended, at the offset `end`.
  private var ended: Latch?
  private var end: UInt64 = 0
  private let busy = Atomic<UInt64>(0)
  private var verifier = StreamVerifier()
  private var replies: [Reply] = []
  private var source: Source?
  private var isPosted = false
  private let head = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)
  private let frames = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536 + 64, alignment: 64)
  private let control = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)

  package init(backend: any NetworkBackend, loop: EventLoop, address: UInt64 = StreamEndpoint.address) {
    ownAddress = address
    self.backend = backend
    self.loop = loop
    backend.connect(self)
  }

  deinit {
    head.deallocate()
    frames.deallocate()
    control.deallocate()
  }

  /// Disconnects the endpoint. Until then, backend and endpoint keep each other alive.
  package func close() { backend.connect(nil) }

  /// Requests a stream from another endpoint and verifies it, as a guest does. Not on the loop's thread.
  ///
  /// - Throws: `Failure` if a frame was wrong or lost.
  func receive(
    frameBytes: Int, from other: StreamEndpoint, duration: UInt64
  ) throws(Failure) -> (frames: UInt64, nanoseconds: UInt64) {
    let action = "stream frames of \(frameBytes) bytes between two endpoints"
    let latch = Latch()
    let start = clinux_monotonic_ns()
    loop.sync {
      self.ended = latch
      self.reply(.request, other.ownAddress, duration, UInt64(frameBytes))
    }
    guard latch.wait(nanoseconds: duration + Self.patience) else {
      throw Failure(action, cause: "the stream did not end")
    }
    let elapsed = clinux_monotonic_ns() - start
    let outcome = Guarded<(frames: UInt64, wrong: UInt64, isWhole: Bool)>(.leaf, (0, 0, false))
    loop.sync {
      outcome.withLock { $0 = (self.verifier.frames, self.verifier.wrong, self.verifier.offset == self.end) }
    }
    let (frames, wrong, isWhole) = outcome.withLock { $0 }
    guard wrong == 0, isWhole else {
      throw Failure(action, cause: "\(wrong) of \(frames) frames were wrong, or the last ones are missing")
    }
    return (frames, elapsed)
  }

  /// Time spent in the endpoint so far, in nanoseconds.
  package var busyTime: UInt64 { busy.load(ordering: .relaxed) }

  private func timed<Result>(_ body: () -> Result) -> Result {
    let start = clinux_monotonic_ns()
    defer { busy.add(clinux_monotonic_ns() &- start, ordering: .relaxed) }
    return body()
  }

  // MARK: Receiving

  package func receive(_ frame: Frame) -> FrameDelivery {
    timed {
      guard frame.count >= TestStream.headerSize, let head = headers(of: frame),
        // A switch floods frames to stations that it does not know yet. They may be for another endpoint.
        TestStream.isFor(head, address: ownAddress)
      else { return }
      switch TestStream.type(head) {
      case 0x0800:
        if let grant = verifier.take(frame.pieces, head: head) { reply(.credit, TestStream.source(head), grant) }
        // Without new credit, the stream would not end.
        if verifier.wrong > 0 { ended?.open() }
      case TestStream.controlType: handleControl(head)
      default: break
      }
    }
    return .accepted
  }

  /// The frame's first bytes in one piece: in place if possible, otherwise copied.
  private func headers(of frame: Frame) -> UnsafeRawPointer? {
    if let first = frame.pieces.pieces.first, first.iov_len >= 60 { return UnsafeRawPointer(first.iov_base) }
    frame.pieces.copyOut(into: head)
    return UnsafeRawPointer(head.baseAddress)
  }

  private func handleControl(_ head: UnsafeRawPointer) {
    let source = TestStream.source(head)
    let value = TestStream.value(head, at: TestStream.valueOffset)
    let value2 = TestStream.value(head, at: TestStream.value2Offset)
    switch TestStream.kind(head) {
    case .begin:
      verifier.begin(window: value)
      reply(.credit, source, verifier.granted)
    case .end:
      end = value
      reply(.result, source, verifier.offset, verifier.frames, verifier.wrong)
      ended?.open()
    case .request:
      guard (60...65_535).contains(value2) else { return }
      self.source = Source(
        target: source, frameBytes: Int(value2), deadline: clinux_monotonic_ns() &+ value)
      post()
    case .credit:
      guard let current = self.source, value > current.credit else { return }
      self.source?.credit = value
      post()
    case .echo: reply(.echoReply, source, value)
    case .result, .echoReply, nil: break
    }
  }

  private func reply(_ kind: TestStream.Kind, _ target: UInt64, _ a: UInt64, _ b: UInt64 = 0, _ c: UInt64 = 0) {
    replies.append(Reply(kind: kind, target: target, values: (a, b, c)))
    post()
  }

  package func receivedBurst() {}

  // MARK: Sending (never inside a delivery, because the sender may hold its lock)

  private func post() {
    guard !isPosted else { return }
    isPosted = true
    loop.post { [weak self] in self?.send() }
  }

  private func send() {
    isPosted = false
    let pending = replies
    replies.removeAll(keepingCapacity: true)
    for reply in pending { sendControl(reply.kind, reply.target, reply.values) }
    if source != nil { pump() }
    backend.sentBurst()
  }

  private func sendControl(_ kind: TestStream.Kind, _ target: UInt64, _ values: (UInt64, UInt64, UInt64)) {
    timed {
      guard let start = control.baseAddress else { return }
      TestStream.writeControl(
        start, destination: target, source: ownAddress, kind: kind, values.0, values.1, values.2)
    }
    backend.send(
      Frame(pieces: ScatterList(UnsafeMutableRawBufferPointer(rebasing: control[0..<TestStream.controlSize]))))
  }

  /// Sends a batch of the stream, within the guest's credit.
  private func pump() {
    guard var stream = source, let start = frames.baseAddress else { return }
    if !stream.hasBegun {
      stream.hasBegun = true
      source = stream
      return sendControl(.begin, stream.target, (TestStream.window(frameBytes: stream.frameBytes), 0, 0))
    }
    let step = TestStream.advance(frameBytes: stream.frameBytes)
    let isLarge = stream.frameBytes > 9000
    // Large frames in turns of 64 KiB, so that the loop's other work does not wait.
    for _ in 0..<(isLarge ? max(1, 65_536 / stream.frameBytes) : Self.batch) {
      guard stream.offset + step <= stream.credit else { break }
      if clinux_monotonic_ns() >= stream.deadline {
        source = nil
        return sendControl(.end, stream.target, (stream.offset, 0, 0))
      }
      timed {
        let offset = UInt32(truncatingIfNeeded: stream.offset)
        TestStream.writeHeaders(
          start, destination: stream.target, source: ownAddress, frameBytes: stream.frameBytes, offset: offset,
          pseudoLength: isLarge ? stream.frameBytes - 34 : 0)
        TestStream.fill(
          start + TestStream.headerSize, stream.frameBytes - TestStream.headerSize, offset: offset)
      }
      var frame = Frame(pieces: ScatterList(UnsafeMutableRawBufferPointer(rebasing: frames[0..<stream.frameBytes])))
      if isLarge {
        frame.checksum = PartialChecksum(start: 34, offset: 16)
        frame.segmentation = Segmentation(
          kind: .tcp4, segmentSize: UInt16(TestStream.segmentSize), headerLength: UInt16(TestStream.headerSize))
      }
      backend.send(frame)
      stream.offset += step
    }
    source = stream
    // With credit left, send the next batch after the loop's other work. Otherwise the guest's next credit triggers it.
    if stream.offset + step <= stream.credit { post() }
  }
}
