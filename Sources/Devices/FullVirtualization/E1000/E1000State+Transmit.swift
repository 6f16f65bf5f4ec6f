import Backends
import Counters
import GuestMemory
import Registers

/// The transmit ring (SDM 3.4). The tail register is the doorbell, and the loop's thread drains the ring.
extension E1000State {
  mutating func transmitTailWritten() {
    guard registers[E1000Register.tctl] & E1000TransmitControl.enable != 0 else { return }
    counters.add(.doorbells)
    wakeTransmitter()
  }

  /// Wakes the loop to read the ring, unless it is draining the ring and will read it again.
  mutating func wakeTransmitter() { if !isTransmitting { effects.ringsDoorbell = true } }

  private var canTransmit: Bool {
    registers[E1000Register.tctl] & E1000TransmitControl.enable != 0 && isBusMaster && !isPaused
      && (hasLink || isLoopback)
  }

  private func transmitRing() -> E1000Ring? {
    var fault: E1000Ring.Fault?
    let ring = E1000Ring.read(registers, base: E1000Register.tdbal, memory: memory, fault: &fault)
    if let fault { counters.add(fault == .index ? .badIndex : .badAddress) }
    return ring
  }

  // MARK: Batches, for the loop's thread

  /// Copies the next descriptors into `transmitter`.
  ///
  /// - Returns: false if there is nothing to send. Every drain ends with this, unless the turn ends first.
  mutating func takeBatch(into transmitter: E1000Transmitter, offloads: NetworkOffloads) -> Bool {
    isTransmitting = true
    readTransmitTail()
    isTransmitting = false
    transmitter.seenTail = registers[E1000Register.tdt]
    if transmitTail.isInUse { lookAtTailLater() }
    writeBack(transmitter)
    guard !transmitter.isUnreported, canTransmit, let ring = transmitRing(), ring.available > 0 else { return false }
    isTransmitting = true
    let epoch = transmitEpoch.current
    if transmitter.ring != epoch {
      // Head or base moved, or the device was reset: the unfinished packet belongs to the old ring.
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

  /// Moves the head past the descriptors that were taken, and writes them back.
  mutating func endBatch(of transmitter: E1000Transmitter) {
    let batch = transmitter.batch
    transmitter.tally.add(to: counters)
    defer { transmitter.tally = E1000TransmitTally() }
    // If the guest reset the device or replaced the ring, the batch must not touch guest memory or registers any more.
    guard transmitter.hasRing, let ring = transmitRing(), batch.first < ring.size else { return }
    transmitter.tally.add(to: registers)
    registers[E1000Register.tdh] = UInt32(truncatingIfNeeded: ring.index(ring.head, plus: batch.taken))
    showInPage(E1000Register.tdh)
    transmitter.isUnreported = true
    writeBack(transmitter)
  }

  /// Writes back the descriptors with RS or RPS, and interrupts. If bus mastering is off, the write-back waits until it
  /// is on again. The frames were already sent, and are not sent twice.
  private mutating func writeBack(_ transmitter: E1000Transmitter) {
    guard transmitter.isUnreported, isBusMaster, !isPaused else { return }
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
    if !causes.isEmpty { interrupts.raise(causes) }
    if reports { transmitInterruptDue(delayed: !reportsAtOnce) }
  }

  /// Ends a turn before the ring is empty. The doorbell makes the loop continue after its other work.
  mutating func endTurn() {
    isTransmitting = false
    effects.ringsDoorbell = true
  }
}
