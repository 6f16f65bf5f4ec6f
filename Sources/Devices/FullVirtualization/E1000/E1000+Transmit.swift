import Backends
import Counters
import EventLoop
import GuestMemory
import Registers

/// The transmit ring (SDM 3.4): the tail register is the doorbell, the loop's thread drains the ring.
extension E1000 {

  // MARK: With the lock held

  func transmitTailWritten() {
    guard registers[E1000Register.tctl] & E1000TransmitControl.enable != 0 else { return }
    counters.add(.doorbells)
    wakeTransmitter()
  }

  /// Lets the loop look at the ring, unless it is about to do so anyway.
  func wakeTransmitter() { if !isTransmitting { doorbell.signal() } }

  private var canTransmit: Bool {
    registers[E1000Register.tctl] & E1000TransmitControl.enable != 0 && isBusMaster && (hasLink || isLoopback)
  }

  private func transmitRing() -> E1000Ring? {
    var fault: E1000Ring.Fault?
    let ring = E1000Ring.read(registers, base: E1000Register.tdbal, memory: memory, fault: &fault)
    if let fault { counters.add(fault == .index ? .badIndex : .badAddress) }
    return ring
  }

  /// Copies the next descriptors; false when there is nothing to do. Every later end of the drain passes here.
  private func takeBatch(into transmitter: E1000Transmitter, offloads: NetworkOffloads) -> Bool {
    isTransmitting = false
    writeBack(transmitter)
    // Bus mastering may come back between both looks at it; the write then rings the doorbell.
    guard !transmitter.isUnreported, canTransmit, let ring = transmitRing(), ring.available > 0 else { return false }
    isTransmitting = true
    let epoch = transmitEpoch.current
    if transmitter.ring != epoch {
      // Head or base moved, or the device was reset: what was collected belongs to another ring.
      transmitter.reset()
      transmitter.ring = epoch
    }
    let control = registers[E1000Register.ctrl]
    transmitter.settings = E1000Transmitter.Settings(
      insertsVLAN: control & E1000Control.vlanMode != 0,
      vlanType: UInt16(truncatingIfNeeded: registers[E1000Register.vet]),
      padsShortPackets: registers[E1000Register.tctl] & E1000TransmitControl.padShortPackets != 0,
      isLoopback: isLoopback, offloads: isLoopback ? [] : offloads)
    let count = min(ring.available, transmitter.capacity)
    for index in 0..<count {
      transmitter.descriptors[index] = ring.load(E1000TransmitDescriptor.self, at: ring.index(ring.head, plus: index))
    }
    transmitter.batch = E1000Transmitter.Batch(first: ring.head, count: count, ringSize: ring.size)
    return true
  }

  /// Moves the head behind what was sent, and reports it.
  private func endBatch(of transmitter: E1000Transmitter) {
    let batch = transmitter.batch
    transmitter.tally.add(to: counters)
    defer { transmitter.tally = E1000TransmitTally() }
    // The guest reset the device or took the ring away: nothing of this batch may touch its memory or registers.
    guard transmitter.hasRing, let ring = transmitRing(), batch.first < ring.size else { return }
    transmitter.tally.add(to: registers)
    registers[E1000Register.tdh] = UInt32(truncatingIfNeeded: ring.index(ring.head, plus: batch.taken))
    transmitter.isUnreported = true
    writeBack(transmitter)
  }

  /// Writes back the descriptors that the guest wants to see, and interrupts. Without bus mastering this waits until it
  /// is on again: the frames are gone, and are not sent a second time.
  private func writeBack(_ transmitter: E1000Transmitter) {
    guard transmitter.isUnreported, isBusMaster else { return }
    transmitter.isUnreported = false
    let batch = transmitter.batch
    guard transmitter.hasRing, let ring = transmitRing(), batch.first < ring.size else { return }
    var reports = false
    var reportsAtOnce = false
    for index in 0..<batch.taken {
      let descriptor = transmitter.descriptors[index]
      let report = E1000TransmitCommand.reportStatus | E1000TransmitCommand.reportPacketSent
      guard descriptor.command & report != 0 else { continue }
      ring.storeStatus(E1000TransmitStatus.done, at: ring.index(batch.first, plus: index))
      reports = true
      if descriptor.command & E1000TransmitCommand.interruptDelay == 0 { reportsAtOnce = true }
    }
    let left = ring.available
    let before = left + batch.taken
    var causes: E1000InterruptCause = left == 0 ? .transmitQueueEmpty : []
    let threshold = Int(registers[E1000Register.txdctl] >> 25) * 8
    if threshold > 0, before > threshold, left <= threshold { causes.insert(.transmitDescriptorsLow) }
    if !causes.isEmpty { raise(causes) }
    if reports { transmitInterruptDue(delayed: !reportsAtOnce) }
  }

  // MARK: On the loop, without the lock

  /// Sends until the tail is reached; after a whole ring, or as much work as a turn may be, the rest waits for the loop's
  /// other work.
  func transmit() {
    let transmitter = transmitter.value
    var (hasSent, hasLooped) = (false, false)
    var (taken, effort) = (0, 0)
    let offloads = backend.acceptedOffloads
    while lock.withLock({ _ in takeBatch(into: transmitter, offloads: offloads) }) {
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
      lock.withLock { _ in endBatch(of: transmitter) }
      taken += transmitter.batch.taken
      if taken >= transmitter.batch.ringSize || effort >= Frame.turn {
        lock.withLock { _ in isTransmitting = false }
        doorbell.signal()
        break
      }
    }
    if hasLooped { receivedBurst() }
    if hasSent { backend.sentBurst() }
  }

  /// Gives the frame to the receiver, a large one in segments, as they would come back from a wire.
  private func loopBack(_ frame: Frame, through adapter: FrameAdapter) {
    adapter.adapt(frame, to: []) { segment in
      if receive(segment, isLoopback: true) == .noBuffer {
        lock.withLock { _ in
          registers.count(E1000Statistic.mpc)
          counters.add(.dropsNoReceiveBuffer)
        }
      }
      return true
    }
  }
}
