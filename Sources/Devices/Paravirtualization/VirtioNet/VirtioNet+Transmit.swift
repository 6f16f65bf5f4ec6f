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
extension VirtioNet {
  /// Frames taken from a transmit queue before others on the loop get their turn.
  private static let transmitBatch = 64

  /// Takes a batch of frames from the queue. Called with the device's lock held; `sendOutgoing` follows without it.
  func transmit(_ queue: Int) -> Bool {
    queues[queue].setNotifications(false)
    // A pair that frames are not received on is not to get a flow's answers.
    let teaches = enabledPairs > 1 && queue / 2 < enabledPairs
    let now = teaches ? loop.clock.now : 0
    var effort = 0
    outgoing.value.queue = queue
    var isTurnOver: Bool { outgoing.value.heads.count >= Self.transmitBatch || effort >= Frame.turn }
    do throws(VirtqueueError) {
      while !isTurnOver, try popOrAskForKick(queue, &chain) {
        outgoing.value.append(chain.head)
        effort += collect(teaching: teaches ? queue / 2 : nil, now: now)
      }
    } catch {
      fail(error)
    }
    framesInFlight = outgoing.value.heads.count
    // A full batch ended without asking for kicks; the next look does that, even if it finds nothing.
    return isRunning && isTurnOver
  }

  /// Checks the frame in `chain`, whose answers are to come to the pair `teaching`; what sending it will cost.
  private func collect(teaching pair: Int?, now: UInt64) -> Int {
    var header = (UInt64(0), UInt32(0))
    let parsed = withUnsafeMutableBytes(of: &header) { bytes -> Frame? in
      let bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[0..<VirtioHeader.size])
      guard chain.readable.copyOut(into: bytes) == VirtioHeader.size else { return nil }
      chain.readable.removeFirst(VirtioHeader.size)
      return VirtioHeader(UnsafeRawBufferPointer(bytes)).frame(chain.readable)
    }
    guard var frame = parsed, isAllowed(frame) else {
      counters.add(.dropsMalformed)
      return 1
    }
    if let pair { steering.learn(frame.pieces, pair: pair, now: now) }
    guard isLinkUp else {
      counters.add(.dropsFiltered)
      return 1
    }
    // 5.1.6.2.1: DATA_VALID is not the driver's to give; a receiver would take its word for the checksum.
    frame.isChecksumVerified = false
    counters.add(.framesSent)
    counters.add(.bytesSent, frame.count)
    let effort = frame.effort
    outgoing.value.append(frame, replacing: &chain.readable)
    return effort
  }

  /// Sends what `transmit` collected and gives it back to the driver. On the loop's thread, without the lock: a receiver
  /// takes its own.
  func sendOutgoing() {
    guard !outgoing.value.heads.isEmpty else { return }
    for frame in outgoing.value.frames { backend.send(frame) }
    lock.withLock { _ in
      framesInFlight = 0
      if registers.isResetting {
        finishResetIfIdle()
      } else if queues[outgoing.value.queue].isEnabled {
        for head in outgoing.value.heads { queues[outgoing.value.queue].push(head, written: 0) }
        publish(queue: outgoing.value.queue)
      }
    }
    outgoing.value.removeAll()
    backend.sentBurst()
  }

  /// The driver may leave only what it negotiated to the device (5.1.6.2.1).
  private func isAllowed(_ frame: Frame) -> Bool {
    if frame.checksum != nil, !isNegotiated(VirtioNetwork.featureChecksum) { return false }
    switch frame.segmentation?.kind {
    case nil: return frame.count <= 65_535 + 18
    case .tcp4: return isNegotiated(VirtioNetwork.featureHostTSO4)
    case .tcp6: return isNegotiated(VirtioNetwork.featureHostTSO6)
    }
  }
}
