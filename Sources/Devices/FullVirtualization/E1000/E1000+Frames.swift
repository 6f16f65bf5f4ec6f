import Backends
import Counters
import Registers

/// Moves frames, on the loop's thread. It calls the backend without the lock, so the backend may call back.
extension E1000: FrameReceiver {
  // MARK: From the backend

  /// None: drivers of the 82540EM expect whole packets with complete checksums.
  package var acceptedOffloads: NetworkOffloads { [] }

  package func receive(_ frame: Frame) -> FrameDelivery {
    let delivery = receive(frame, isLoopback: false)
    // From now on, the loop may poll for buffers.
    if delivery == .noBuffer { transmitter.value.starvedTail = access { $0.registers[E1000Register.rdt] } }
    return delivery
  }

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

  // MARK: Without receive buffers

  /// If the ring has buffers again, lets the backend offer the frames that it holds.
  func offerHeldFrames() { if access({ $0.endStarvation() }) { backend.receiverReady() } }

  /// Looks for tail writes that KVM holds while the receiver has no buffers.
  func searchForBuffers() {
    applyHeldWrites()
    offerHeldFrames()
    access { $0.searchFailed() }
  }

  // MARK: To the backend

  /// Sends until the head reaches the tail. After one whole ring or the effort of one turn, it leaves the rest for its
  /// next turn on the loop.
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

  /// Passes the frame to the receiver. A large frame is segmented first, as it would arrive from a wire.
  private func loopBack(_ frame: Frame, through adapter: FrameAdapter) {
    adapter.adapt(frame, to: []) { segment in
      if receive(segment, isLoopback: true) == .noBuffer { access { $0.countMissed() } }
      return true
    }
  }
}
