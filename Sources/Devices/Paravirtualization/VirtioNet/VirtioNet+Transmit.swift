import Backends
import Counters
import Registers

/// From the transmit queues to the backend (VIRTIO 1.2, 5.1.6.2). Called with the device's lock held.
extension VirtioNet {
  /// Frames taken from a transmit queue before others on the loop get their turn.
  private static let transmitBatch = 64

  func transmit(_ queue: Int) -> Bool {
    queues[queue].setNotifications(false)
    // A pair that frames are not received on is not to get a flow's answers.
    let teaches = enabledPairs > 1 && queue / 2 < enabledPairs
    let now = teaches ? loop.clock.now : 0
    var taken = 0
    var effort = 0
    var isTurnOver: Bool { taken >= Self.transmitBatch || effort >= Frame.turn }
    do throws(VirtqueueError) {
      while !isTurnOver, try popOrAskForKick(queue, &chain) {
        taken += 1
        effort += send(teaching: teaches ? queue / 2 : nil, now: now)
        queues[queue].push(chain.head, written: 0)
      }
    } catch {
      fail(error)
    }
    guard taken > 0 else { return false }
    hasSent = true
    publish(queue: queue)
    // A full batch ended without asking for kicks; the next look does that, even if it finds nothing.
    return isRunning && isTurnOver
  }

  /// Sends the frame in `chain`, whose answers are to come to the pair `teaching`; what that cost.
  private func send(teaching pair: Int?, now: UInt64) -> Int {
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
    backend.send(frame)
    return frame.effort
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
