import Backends
import Counters
import EventLoop
import GuestMemory
import Registers

/// Frames that were taken from one transmit queue and are on their way to the backend. Refilled, so that a frame allocates
/// nothing.
struct OutgoingFrames {
  var queue = 0
  private(set) var frames: [Frame] = []
  /// Every request taken, those whose frame is dropped included.
  private(set) var heads: [UInt16] = []
  private var spares: [ScatterList] = []

  mutating func append(_ head: UInt16) { heads.append(head) }

  /// Takes `frame` with its list of pieces; `list` gets an empty one in its place.
  mutating func append(_ frame: consuming Frame, replacing list: inout ScatterList) {
    list = spares.popLast() ?? ScatterList()
    frames.append(frame)
  }

  mutating func removeAll() {
    heads.removeAll(keepingCapacity: true)
    while var frame = frames.popLast() {
      frame.pieces.removeAll()
      spares.append(frame.pieces)
    }
  }
}

/// From the transmit queues to the backend (VIRTIO 1.2, 5.1.6.2).
extension VirtioNetState {
  /// Frames taken from a transmit queue before others on the loop get their turn.
  private static let transmitBatch = 64

  /// Takes a batch of frames from the queue into `outgoing`; whether more may be left.
  mutating func transmit(_ queue: Int, into outgoing: inout OutgoingFrames) -> Bool {
    core.queues[queue].setNotifications(false)
    // A pair that frames are not received on is not to get a flow's answers.
    let teaches = enabledPairs > 1 && queue / 2 < enabledPairs
    let now = teaches ? clock.now : 0
    var effort = 0
    outgoing.queue = queue
    var isTurnOver: Bool { outgoing.heads.count >= Self.transmitBatch || effort >= Frame.turn }
    do throws(VirtqueueError) {
      while !isTurnOver, try core.popOrAskForKick(queue, &chain) {
        outgoing.append(chain.head)
        effort += collect(into: &outgoing, teaching: teaches ? queue / 2 : nil, now: now)
      }
    } catch {
      core.fail(error)
    }
    core.requestsBegan(outgoing.heads.count)
    // A full batch ended without asking for kicks; the next look does that, even if it finds nothing.
    return core.isRunning && isTurnOver
  }

  /// Checks the frame in `chain`, whose answers are to come to the pair `teaching`; what sending it will cost.
  private mutating func collect(into outgoing: inout OutgoingFrames, teaching pair: Int?, now: UInt64) -> Int {
    var header = (UInt64(0), UInt32(0))
    let parsed = withUnsafeMutableBytes(of: &header) { bytes -> Frame? in
      let bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[0..<VirtioHeader.size])
      guard chain.readable.copyOut(into: bytes) == VirtioHeader.size else { return nil }
      chain.readable.removeFirst(VirtioHeader.size)
      return VirtioHeader(UnsafeRawBufferPointer(bytes)).frame(chain.readable)
    }
    guard var frame = parsed, isAllowed(frame) else {
      core.counters.add(.dropsMalformed)
      return 1
    }
    if let pair { steering.learn(frame.pieces, pair: pair, now: now) }
    guard isLinkUp else {
      core.counters.add(.dropsFiltered)
      return 1
    }
    // 5.1.6.2.1: DATA_VALID is not the driver's to give; a receiver would take its word for the checksum.
    frame.isChecksumVerified = false
    core.counters.add(.framesSent)
    core.counters.add(.bytesSent, frame.count)
    let effort = frame.effort
    outgoing.append(frame, replacing: &chain.readable)
    return effort
  }

  /// Gives the driver the requests of `outgoing` back, whose frames the backend has taken.
  mutating func sent(_ outgoing: OutgoingFrames) {
    core.requestsEnded(outgoing.heads.count)
    // A reset that waited for these frames has turned the queue off.
    guard core.queues[outgoing.queue].isEnabled else { return }
    for head in outgoing.heads { core.queues[outgoing.queue].push(head, written: 0) }
    core.publish(queue: outgoing.queue)
  }

  /// The driver may leave only what it negotiated to the device (5.1.6.2.1).
  private func isAllowed(_ frame: Frame) -> Bool {
    if frame.checksum != nil, !core.isNegotiated(VirtioNetwork.featureChecksum) { return false }
    switch frame.segmentation?.kind {
    case nil: return frame.count <= 65_535 + 18
    case .tcp4: return core.isNegotiated(VirtioNetwork.featureHostTSO4)
    case .tcp6: return core.isNegotiated(VirtioNetwork.featureHostTSO6)
    }
  }
}
