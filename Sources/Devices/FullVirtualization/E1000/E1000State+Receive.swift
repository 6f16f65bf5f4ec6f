import Backends
import Counters
import GuestMemory
import Registers
import Synchronization

/// The receiver's state between frames, and its working memory.
struct E1000ReceiveState: ~Copyable, Sendable {
  /// The backend holds a frame for which there were too few descriptors.
  var isStarved = false
  /// Number of descriptors that the last frame needs.
  var neededDescriptors = 1
  /// Delay before the next search for held tail writes, in nanoseconds.
  var searchDelay = Self.shortestSearch
  static var shortestSearch: UInt64 { 100_000 }
  static var longestSearch: UInt64 { 1_000_000 }

  /// A frame arrived since the last burst ended.
  var isInBurst = false
  /// Held writes were already applied because this burst ran out of buffers.
  var hasSearched = false
  /// Packets were stored in this burst.
  var storedPackets = false
  /// Further causes to raise when the burst ends.
  var burstCauses: E1000InterruptCause = []
  /// The buffers of the current packet. Kept here to avoid an allocation per packet.
  var buffers = ScatterList()
  /// Positions of the descriptors of `buffers`, counted from the head.
  var places: [Int] = []
  let scratch = E1000Scratch()

  /// Resets the receiver, except starvation: the backend keeps its frame through a reset.
  mutating func reset() {
    storedPackets = false
    burstCauses = []
    neededDescriptors = 1
  }
}

/// Scratch memory of the receiver.
// Unchecked: the state owns its memory, and only the holder of the device's lock reaches the state.
struct E1000Scratch: ~Copyable, @unchecked Sendable {
  /// Receives the data of buffers with a bad address. As long as the longest buffer.
  let sink = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 16)
  let zeroes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)
  /// The start of the current packet.
  let header = UnsafeMutableRawBufferPointer.allocate(byteCount: 96, alignment: 16)

  init() {
    sink.initializeMemory(as: UInt8.self, repeating: 0)
    zeroes.initializeMemory(as: UInt8.self, repeating: 0)
    header.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit {
    sink.deallocate()
    zeroes.deallocate()
    header.deallocate()
  }
}

/// Stores frames from the backend, or from the transmitter in loopback, in the receive ring (SDM 3.2).
extension E1000State {
  /// Stores a frame, or records that the backend holds it. Both happen under one lock, so no tail write comes between.
  ///
  /// - Parameter mayLook: the caller can apply held writes.
  /// - Returns: nil if the caller must apply held writes and offer the frame again; the frame is not stored then.
  mutating func receive(_ frame: Frame, isLoopback: Bool, mayLook: Bool) -> FrameDelivery? {
    if isPaused { return .noBuffer }
    readReceiveTail()
    // The guest may have written filters and tail without an exit. Look for held writes when a burst begins, and once
    // when it runs out of buffers.
    if mayLook, !receiver.isInBurst {
      receiver.isInBurst = true
      return nil
    }
    let delivery = store(frame, isLoopback: isLoopback)
    guard delivery == .noBuffer else { return delivery }
    if mayLook, !receiver.hasSearched {
      receiver.hasSearched = true
      return nil
    }
    if !isLoopback { starve() }
    return delivery
  }

  /// Raises the causes of the whole burst.
  mutating func burstEnded() {
    receiver.isInBurst = false
    receiver.hasSearched = false
    if !receiver.burstCauses.isEmpty {
      interrupts.raise(receiver.burstCauses)
      receiver.burstCauses = []
    }
    if receiver.storedPackets {
      receiver.storedPackets = false
      receiveInterruptDue()
    }
  }

  /// Counts a frame in loopback that was dropped because there was no buffer.
  mutating func countMissed() {
    registers.count(E1000Statistic.mpc)
    counters.add(.dropsNoReceiveBuffer)
  }

  // MARK: Without buffers

  /// Records that the backend holds a frame. Counts RNBC and raises RXO once, when starvation begins.
  private mutating func starve() {
    guard !receiver.isStarved else { return }
    receiver.isStarved = true
    receiver.searchDelay = E1000ReceiveState.shortestSearch
    registers.count(E1000Statistic.rnbc)
    receiver.burstCauses.insert(.receiverOverrun)
    searchLater()
  }

  /// Schedules a search for tail writes that KVM holds.
  private mutating func searchLater() {
    if options.coalescesWrites || receiveTail.isInUse { effects.set(.starvation, after: receiver.searchDelay) }
  }

  /// A register that may end starvation was written: wakes the loop to check.
  mutating func receiveRingChanged() {
    guard receiver.isStarved else { return }
    effects.ringsDoorbell = true
    searchLater()
  }

  /// Ends starvation if the ring has enough buffers again.
  ///
  /// - Returns: whether the backend should offer the frames that it holds.
  mutating func endStarvation() -> Bool {
    readReceiveTail()
    guard receiver.isStarved, canReceive, let ring = receiveRing(counting: false).ring,
      ring.available >= receiver.neededDescriptors
    else { return false }
    receiver.isStarved = false
    effects.cancel(.starvation)
    return true
  }

  /// The search found nothing: doubles the delay until the next one.
  mutating func searchFailed() {
    guard receiver.isStarved, canReceive else { return }
    receiver.searchDelay = min(receiver.searchDelay * 2, E1000ReceiveState.longestSearch)
    effects.set(.starvation, after: receiver.searchDelay)
  }

  private var canReceive: Bool {
    registers[E1000Register.rctl] & E1000ReceiveControl.enable != 0 && isBusMaster
  }

  private func receiveRing(counting: Bool) -> (ring: E1000Ring?, fault: E1000Ring.Fault?) {
    var fault: E1000Ring.Fault?
    let ring = E1000Ring.read(registers, base: E1000Register.rdbal, memory: memory, fault: &fault)
    if counting, let fault { counters.add(fault == .index ? .badIndex : .badAddress) }
    return (ring, fault)
  }

  // MARK: One packet

  private func drop(_ counter: Counter) -> FrameDelivery {
    counters.add(counter)
    return .discarded
  }

  private mutating func store(_ frame: Frame, isLoopback: Bool) -> FrameDelivery {
    guard canReceive, isLoopback || (hasLink && !self.isLoopback) else { return drop(.dropsFiltered) }
    guard frame.segmentation == nil, frame.count >= 14 else { return drop(.dropsMalformed) }
    let control = registers[E1000Register.rctl]
    let header = receiver.scratch.header
    let known = frame.pieces.copyOut(into: header)
    if known < header.count {
      UnsafeMutableRawBufferPointer(rebasing: header[known...]).initializeMemory(as: UInt8.self, repeating: 0)
    }
    let filtered = filter(UnsafeRawBufferPointer(header))
    let octets = max(frame.count, 60) + 4
    let admitsLong = control & (E1000ReceiveControl.longPackets | E1000ReceiveControl.storeBadPackets) != 0
    let isLong = octets > (admitsLong ? 16_384 : 1_522)
    guard filtered != .rejected, !isLong else {
      registers.count(E1000Statistic.tpr)
      registers.countOctets(E1000Statistic.torl, UInt64(octets))
      if isLong, filtered != .rejected { registers.count(E1000Statistic.roc) }
      return drop(.dropsFiltered)
    }
    return place(frame, octets: octets, control: control, isInexact: filtered == .inexact)
  }

  private mutating func place(_ frame: Frame, octets: Int, control: UInt32, isInexact: Bool) -> FrameDelivery {
    let header = UnsafeRawBufferPointer(receiver.scratch.header)
    let isTagged = isTagged(header)
    let isStripped = isTagged && frame.count >= 18 && registers[E1000Register.ctrl] & E1000Control.vlanMode != 0
    let keepsFCS = control & E1000ReceiveControl.stripCRC == 0
    let body = frame.count - (isStripped ? 4 : 0)
    // The four bytes of the FCS are zero: no frame is damaged here, and no guest checks them.
    let total = octets - 4 - (isStripped ? 4 : 0) + (keepsFCS ? 4 : 0)
    let bufferSize = Self.bufferSize(control)
    let needed = (total + bufferSize - 1) / bufferSize

    let (found, fault) = receiveRing(counting: true)
    receiver.neededDescriptors = min(needed, max(1, (found?.size ?? 1) - 1))
    if fault == .index { return .noBuffer }
    guard let ring = found, needed < ring.size else {
      registers.count(E1000Statistic.mpc)
      return drop(.dropsNoReceiveBuffer)
    }
    guard collectBuffers(ring, count: needed, total: total, bufferSize: bufferSize) else {
      return lacksBuffers(ring, needed: needed)
    }
    copy(frame, isStripped: isStripped, body: body, total: total)
    report(frame, ring, total: total, bufferSize: bufferSize, isStripped, isTagged, isInexact)

    let used = (receiver.places.last ?? 0) + 1
    registers[E1000Register.rdh] = UInt32(truncatingIfNeeded: ring.index(ring.head, plus: used))
    showInPage(E1000Register.rdh)
    noteDescriptorsLow(ring, used: used, control: control)
    countReceived(frame, octets: octets)
    return .accepted
  }

  /// Handles a frame for which the ring has too few buffers. Drops it if the ring is full and still too small.
  private mutating func lacksBuffers(_ ring: E1000Ring, needed: Int) -> FrameDelivery {
    // Complete padding at the head, so that a driver that waits for it can refill the ring.
    var skipped = 0
    while skipped < ring.available, ring.isNull(at: ring.index(ring.head, plus: skipped)) {
      ring.addStatus(E1000ReceiveStatus.done, at: ring.index(ring.head, plus: skipped))
      skipped += 1
    }
    registers[E1000Register.rdh] = UInt32(truncatingIfNeeded: ring.index(ring.head, plus: skipped))
    showInPage(E1000Register.rdh)
    let left = ring.available - skipped
    guard left < ring.size - 1 else {
      registers.count(E1000Statistic.mpc)
      return drop(.dropsNoReceiveBuffer)
    }
    receiver.neededDescriptors = max(needed, left + 1)
    return .noBuffer
  }

  private static func bufferSize(_ control: UInt32) -> Int {
    let size = 2048 >> Int(control >> E1000ReceiveControl.bufferSizeShift & 3)
    // With BSEX, the other sizes are multiplied by 16; 2048 is reserved.
    return control & E1000ReceiveControl.bufferSizeExtension != 0 && size < 2048 ? size * 16 : size
  }

  /// Maximum number of null descriptors among one packet's buffers. Without a limit, a hostile guest could make the
  /// loop walk the whole ring for each frame.
  private static var mostPadding: Int { 256 }

  /// Collects `count` buffers from the head on; false if there are too few, or too much padding among them.
  private mutating func collectBuffers(_ ring: E1000Ring, count: Int, total: Int, bufferSize: Int) -> Bool {
    receiver.buffers.removeAll()
    receiver.places.removeAll(keepingCapacity: true)
    for place in 0..<ring.available {
      if receiver.places.count == count || place - receiver.places.count > Self.mostPadding { break }
      let descriptor = ring.load(E1000ReceiveDescriptor.self, at: ring.index(ring.head, plus: place))
      // SDM 3.2.5: a null address is padding.
      if descriptor.address == 0 { continue }
      let length = min(bufferSize, total - receiver.places.count * bufferSize)
      receiver.places.append(place)
      if let slice = memory.slice(at: descriptor.address, count: length) {
        receiver.buffers.append(slice)
      } else {
        // A real bus would abort the write, and the device would still use the descriptor.
        counters.add(.badAddress)
        receiver.buffers.append(UnsafeMutableRawBufferPointer(rebasing: receiver.scratch.sink[0..<length]))
      }
    }
    return receiver.places.count == count
  }

  private func copy(_ frame: Frame, isStripped: Bool, body: Int, total: Int) {
    var copied = 0
    if isStripped {
      copied = frame.pieces.copy(from: 0, count: 12, to: receiver.buffers)
      copied += frame.pieces.copy(from: 16, count: body - 12, to: receiver.buffers, at: 12)
    } else {
      copied = frame.pieces.copy(count: body, to: receiver.buffers)
    }
    counters.add(.bytesCopied, copied)
    if total > body {
      receiver.buffers.copyIn(
        from: UnsafeRawBufferPointer(
          rebasing: receiver.scratch.zeroes[0..<min(total - body, receiver.scratch.zeroes.count)]), at: body)
    }
    guard let partial = frame.checksum else { return }
    // Backends complete the checksum for a receiver without offloads. If one did not, complete it here.
    let field = Int(partial.start) + Int(partial.offset)
    guard field + 2 <= frame.count, field >= 16 || !isStripped else { return }
    var sum = InternetSum()
    sum.add(frame.pieces, from: Int(partial.start), count: frame.count - Int(partial.start))
    let value = (sum.checksum == 0 ? 0xFFFF : sum.checksum).bigEndian
    withUnsafeBytes(of: value) { _ = receiver.buffers.copyIn(from: $0, at: field - (isStripped ? 4 : 0)) }
    counters.add(.checksumsCompleted)
  }

  /// Writes the descriptors back. The last one has the packet's status, errors and VLAN tag.
  private func report(
    _ frame: Frame, _ ring: E1000Ring, total: Int, bufferSize: Int, _ isStripped: Bool, _ isTagged: Bool,
    _ isInexact: Bool
  ) {
    let control = registers[E1000Register.rxcsum]
    var status = E1000ReceiveStatus.done | E1000ReceiveStatus.endOfPacket
    var errors: UInt8 = 0
    if control & (E1000ReceiveChecksum.ip | E1000ReceiveChecksum.transport) != 0 {
      let verdict = E1000ChecksumVerdict(
        of: frame, header: UnsafeRawBufferPointer(receiver.scratch.header), networkOffset: isTagged ? 18 : 14,
        control: control, isKnownGood: frame.isChecksumVerified || frame.checksum != nil)
      status |= verdict.status
      errors |= verdict.errors
    }
    if status & (E1000ReceiveStatus.ipChecksum | E1000ReceiveStatus.transportChecksum) == 0 {
      status |= E1000ReceiveStatus.ignoreChecksum
    }
    if isInexact { status |= E1000ReceiveStatus.inexactFilter }
    var special: UInt16 = 0
    if isStripped {
      status |= E1000ReceiveStatus.vlan
      special = receiver.scratch.header.loadUnaligned(fromByteOffset: 14, as: UInt16.self).bigEndian
    }
    // The packet checksum takes a pass over all bytes, so compute it only if the guest set its start (PCSS).
    var checksum: UInt16 = 0
    let start = Int(control & E1000ReceiveChecksum.startMask)
    if start > 0, start < total {
      var sum = InternetSum()
      sum.add(receiver.buffers, from: start, count: total - start)
      checksum = sum.value
    }
    // The data must be visible before the descriptors that report it.
    atomicMemoryFence(ordering: .releasing)
    var next = 0
    for (index, place) in receiver.places.enumerated() {
      // Of padding before this buffer, set only DD.
      for null in next..<place { ring.addStatus(E1000ReceiveStatus.done, at: ring.index(ring.head, plus: null)) }
      next = place + 1
      let isLast = index == receiver.places.count - 1
      let length = UInt16(truncatingIfNeeded: isLast ? total - index * bufferSize : bufferSize)
      let fields = E1000ReceiveDescriptor.fields(
        length: length, checksum: checksum, status: isLast ? status : E1000ReceiveStatus.done,
        errors: isLast ? errors : 0, special: isLast ? special : 0)
      ring.storeFields(fields, at: ring.index(ring.head, plus: place))
    }
  }

  private mutating func noteDescriptorsLow(_ ring: E1000Ring, used: Int, control: UInt32) {
    let shift = Int(control >> E1000ReceiveControl.thresholdShift & 3) + 1
    let threshold = ring.size >> min(shift, 3)
    if ring.available > threshold, ring.available - used <= threshold {
      receiver.burstCauses.insert(.receiveDescriptorsLow)
    }
  }

  private mutating func countReceived(_ frame: Frame, octets: Int) {
    typealias S = E1000Statistic
    receiver.storedPackets = true
    counters.add(.framesReceived)
    counters.add(.bytesReceived, frame.count)
    registers.count(S.tpr)
    registers.count(S.gprc)
    registers.countOctets(S.torl, UInt64(octets))
    registers.countOctets(S.gorcl, UInt64(octets))
    registers.count(S.prc64 + 4 * UInt32(E1000RegisterFile.sizeClass(octets: octets)))
    if receiver.scratch.header[0] & 1 != 0 {
      let isBroadcast = receiver.scratch.header[0..<6].allSatisfy { $0 == 0xFF }
      registers.count(isBroadcast ? S.bprc : S.mprc)
    }
    let small = Int(registers[E1000Register.rsrpd] & 0xFFF)
    if small > 0, octets <= small { receiver.burstCauses.insert(.smallPacketReceived) }
  }
}
