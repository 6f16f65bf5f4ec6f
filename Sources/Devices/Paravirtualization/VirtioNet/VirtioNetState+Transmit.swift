import Backends
import Counters
import EventLoop
import GuestMemory
import Registers

/// Frames that were taken from one transmit queue, for the backend. Reuses its memory to avoid allocations per frame.
struct OutgoingFrames {
  var queue = 0
  private(set) var frames: [Frame] = []
  /// All requests that were taken, including those whose frame was dropped.
  private(set) var heads: [UInt16] = []
  private var spares: [ScatterList] = []

  mutating func append(_ head: UInt16) { heads.append(head) }

  /// Appends `frame` with its list of pieces, and puts an empty list into `list`.
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

/// Transmit: from the transmit queues to the backend (VIRTIO 1.2, 5.1.6.2).
extension VirtioNetState {
  /// Maximum number of frames in one turn on the loop.
  private static let transmitBatch = 64

  /// Moves a batch of frames from the queue into `outgoing`.
  ///
  /// - Returns: whether more may be left.
  mutating func transmit(_ queue: Int, into outgoing: inout OutgoingFrames) -> Bool {
    core.queues[queue].setNotifications(false)
    // Steer a flow's answers to this pair only if frames are received on it.
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
    // After a full batch, kicks are still disabled. A turn that finds the queue empty enables them, unless the loop polls.
    return core.isRunning && isTurnOver
  }

  /// Checks the frame in `chain` and appends it to `outgoing`.
  ///
  /// - Parameter pair: steers the answers of the frame's flow to this pair; nil for no steering.
  /// - Returns: the effort of sending the frame.
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
    // 5.1.6.2.1: a driver must not set DATA_VALID. A receiver would trust it, and not check the checksum.
    frame.isChecksumVerified = false
    core.counters.add(.framesSent)
    core.counters.add(.bytesSent, frame.count)
    let effort = frame.effort
    outgoing.append(frame, replacing: &chain.readable)
    return effort
  }

  /// Returns the requests of `outgoing` to the driver after the backend has taken their frames.
  mutating func sent(_ outgoing: OutgoingFrames) {
    core.requestsEnded(outgoing.heads.count)
    // If a reset waited for these frames, it has now disabled the queue.
    guard core.queues[outgoing.queue].isEnabled else { return }
    for head in outgoing.heads { core.queues[outgoing.queue].push(head, written: 0) }
    core.publish(queue: outgoing.queue)
  }

  /// Whether the driver negotiated the offloads of the frame (5.1.6.2.1), and the frame is not too long.
  private func isAllowed(_ frame: Frame) -> Bool {
    if frame.checksum != nil, !core.isNegotiated(VirtioNetwork.featureChecksum) { return false }
    switch frame.segmentation?.kind {
    case nil: return frame.count <= 65_535 + 18
    case .tcp4: return core.isNegotiated(VirtioNetwork.featureHostTSO4)
    case .tcp6: return core.isNegotiated(VirtioNetwork.featureHostTSO6)
    }
  }
}
