import Backends
import Counters
import GuestMemory
import Registers

/// Receive: from the backend to the receive queues (VIRTIO 1.2, 5.1.6.3, 5.1.6.4).
extension VirtioNetState {
  mutating func receive(_ frame: Frame) -> FrameDelivery {
    if core.isPaused { return .noBuffer }
    let pair = enabledPairs > 1 ? steering.pair(for: frame.pieces, of: enabledPairs) : 0
    guard core.isRunning, isLinkUp, core.queues[2 * pair].isEnabled, fitsMTU(frame), filter.accepts(frame.pieces) else {
      core.counters.add(.dropsFiltered)
      return .discarded
    }
    do throws(VirtqueueError) {
      return try fill(pair: pair, with: frame)
    } catch {
      core.fail(error)
      return .discarded
    }
  }

  /// Whether the frame fits the MTU, plus a VLAN tag, if the driver negotiated the MTU (5.1.4.1).
  private func fitsMTU(_ frame: Frame) -> Bool {
    frame.segmentation != nil || !core.isNegotiated(VirtioNetwork.featureMTU) || frame.count <= Int(mtu) + 18
  }

  /// Copies header and frame into one buffer, or, with mergeable buffers, into as many as necessary.
  ///
  /// If the pair has no buffers, it refuses the frame. On another pair, the frame could overtake frames of its flow.
  private mutating func fill(pair: Int, with frame: Frame) throws(VirtqueueError) -> FrameDelivery {
    let queue = 2 * pair
    let isMergeable = core.isNegotiated(VirtioNetwork.featureMergeableBuffers)
    var offset = 0
    var countPlace: (UnsafeMutableRawPointer, UnsafeMutableRawPointer)?
    filled.removeAll(keepingCapacity: true)
    repeat {
      guard try core.popOrAskForKick(queue, &chain) else {
        core.queues[queue].unpop(filled.count)
        guard filled.count >= Int(core.queues[queue].size) else { return .noBuffer }
        // The full ring is too small for the frame. Waiting would block all later frames.
        core.counters.add(.dropsNoReceiveBuffer)
        return .discarded
      }
      let isFirst = filled.isEmpty
      let room = chain.writable.count - (isFirst ? VirtioHeader.size : 0)
      let fits = isMergeable ? room > 0 : room >= frame.count
      guard fits, chain.readable.isEmpty else {
        // The driver must provide buffers that fit its features. Return this one empty, and drop the frame.
        for (head, _) in filled { core.queues[queue].push(head, written: 0) }
        core.queues[queue].push(chain.head, written: 0)
        core.counters.add(.badRequest)
        core.counters.add(.dropsMalformed)
        pairsToPublish.insert(pair)
        return .discarded
      }
      if isFirst { countPlace = storeHeader(of: frame) }
      let copied = frame.pieces.copy(
        from: offset, count: min(room, frame.count - offset), to: chain.writable,
        at: isFirst ? VirtioHeader.size : 0)
      offset += copied
      filled.append((chain.head, copied + (isFirst ? VirtioHeader.size : 0)))
      guard filled.count <= Int(core.queues[queue].size) else { throw .chain }
    } while offset < frame.count

    if let countPlace {
      countPlace.0.storeBytes(of: UInt8(truncatingIfNeeded: filled.count), as: UInt8.self)
      countPlace.1.storeBytes(of: UInt8(truncatingIfNeeded: filled.count >> 8), as: UInt8.self)
    }
    for (head, bytes) in filled { core.queues[queue].push(head, written: bytes) }
    pairsToPublish.insert(pair)
    core.counters.add(.framesReceived)
    core.counters.add(.bytesReceived, frame.count)
    core.counters.add(.bytesCopied, frame.count)
    return .accepted
  }

  /// Writes the header to the start of `chain`.
  ///
  /// - Returns: the addresses of the two bytes of num_buffers, whose value is known only after the frame was copied.
  private func storeHeader(of frame: Frame) -> (UnsafeMutableRawPointer, UnsafeMutableRawPointer)? {
    var header = VirtioHeader(frame)
    if !guestOffloads.contains(.checksum) { header.flags = 0 }
    withUnsafeTemporaryAllocation(byteCount: VirtioHeader.size, alignment: 8) { bytes in
      header.store(to: bytes)
      chain.writable.copyIn(from: UnsafeRawBufferPointer(bytes))
    }
    guard let low = chain.writable.address(at: 10), let high = chain.writable.address(at: 11) else { return nil }
    return (low, high)
  }

  /// The last frame of a burst was received: publishes the frames, and interrupts.
  mutating func publishReceived() {
    while let pair = pairsToPublish.popFirst() { core.publish(queue: 2 * pair) }
  }
}
