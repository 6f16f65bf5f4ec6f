import Backends
import Counters

/// Frames, on the loop's thread. The backend is called without the lock, so it may call back.
extension E1000: FrameReceiver {
  // MARK: From the backend

  /// None: a guest of this device knows only whole packets with whole checksums.
  package var acceptedOffloads: NetworkOffloads { [] }

  package func receive(_ frame: Frame) -> FrameDelivery { receive(frame, isLoopback: false) }

  private func receive(_ frame: Frame, isLoopback: Bool) -> FrameDelivery {
    loop.assertOnLoop()
    let mayLook = options.coalescesWrites
    if let delivery = access({ $0.receive(frame, isLoopback: isLoopback, mayLook: mayLook) }) { return delivery }
    applyHeldWrites()
    return access { $0.receive(frame, isLoopback: isLoopback, mayLook: false) } ?? .noBuffer
  }

  package func receivedBurst() { access { $0.burstEnded() } }

  /// Plugs the cable in or out; the guest sees STATUS.LU and LSC.
  package func setLink(up: Bool) { access { $0.setCable(up: up) } }

  // MARK: Buffers ran out

  /// Has the backend offer the frames that it holds, once there are buffers.
  func offerHeldFrames() { if access({ $0.endStarvation() }) { backend.receiverReady() } }

  /// Looks for tail writes that KVM holds back while the receiver starves.
  func searchForBuffers() {
    applyHeldWrites()
    offerHeldFrames()
    access { $0.searchFailed() }
  }

  // MARK: To the backend

  /// Sends until the tail is reached. After a whole ring, or as much work as a turn may be, the rest waits for the loop's
  /// other work.
  func transmit() {
    let transmitter = transmitter.value
    var (hasSent, hasLooped) = (false, false)
    var (taken, effort) = (0, 0)
    let offloads = backend.acceptedOffloads
    while access({ $0.takeBatch(into: transmitter, offloads: offloads) }) {
      while transmitter.hasDescriptor, effort < Frame.turn, transmitter.hasRing, isBusMaster {
        guard let frame = transmitter.take() else { continue }
        effort += frame.effort
        if transmitter.settings.isLoopback {
          loopBack(frame, through: transmitter.loopbackAdapter)
          hasLooped = true
        } else {
          backend.send(frame)
          hasSent = true
        }
      }
      access { $0.endBatch(of: transmitter) }
      taken += transmitter.batch.taken
      if taken >= transmitter.batch.ringSize || effort >= Frame.turn {
        access { $0.endTurn() }
        break
      }
    }
    if hasLooped { receivedBurst() }
    if hasSent { backend.sentBurst() }
  }

  /// Gives the frame to the receiver, a large one in segments, as they would come back from a wire.
  private func loopBack(_ frame: Frame, through adapter: FrameAdapter) {
    adapter.adapt(frame, to: []) { segment in
      if receive(segment, isLoopback: true) == .noBuffer { access { $0.countMissed() } }
      return true
    }
  }
}
