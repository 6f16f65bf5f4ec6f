import Backends
import Counters
import GuestMemory
import Registers
import Synchronization

/// What the receiver remembers between frames, and what it works with.
struct E1000ReceiveState: ~Copyable, Sendable {
  /// A frame found no descriptor and waits in the backend.
  var isStarved = false
  /// How many descriptors the last frame wants.
  var neededDescriptors = 1
  /// The next search for held-back tail writes comes after so many nanoseconds.
  var searchDelay = Self.shortestSearch
  static var shortestSearch: UInt64 { 100_000 }
  static var longestSearch: UInt64 { 1_000_000 }

  /// A frame came since the last burst ended.
  var isInBurst = false
  /// Held-back writes were applied as this burst ran out of buffers.
  var hasSearched = false
  /// Packets were stored in this burst.
  var storedPackets = false
  /// What else to raise as the burst ends.
  var burstCauses: E1000InterruptCause = []
  /// The buffers of the packet that is being stored; kept so that nothing is allocated.
  var buffers = ScatterList()
  /// Where their descriptors lie, counted from the head.
  var places: [Int] = []
  let scratch = E1000Scratch()

  /// A held frame stays with the backend through a reset, so starvation does too.
  mutating func reset() {
    storedPackets = false
    burstCauses = []
    neededDescriptors = 1
  }
}

/// Memory that takes what a guest's bad addresses would have got, and gives padding.
struct E1000Scratch: ~Copyable, @unchecked Sendable {
  /// As long as the longest buffer.
  let sink = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 16)
  let zeroes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)
  /// The start of the packet that is being received.
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

/// Frames from the backend, or from the transmitter in loopback, go to the receive ring (SDM 3.2).
extension E1000State {
  /// Stores a frame, or remembers that the backend holds it. That is one step, so that no tail write falls between.
  ///
  /// - Parameter mayLook: the caller can apply held-back writes.
  /// - Returns: nil, with nothing done, where the caller is to apply them and then offer the frame again.
  mutating func receive(_ frame: Frame, isLoopback: Bool, mayLook: Bool) -> FrameDelivery? {
    // The guest may have written filters and tail without an exit: worth a look as a burst begins and, once, as buffers
    // run out in it.
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

  /// Interrupts once for all packets of the burst.
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

  /// A frame that came back in loopback found no buffer.
  mutating func countMissed() {
    registers.count(E1000Statistic.mpc)
    counters.add(.dropsNoReceiveBuffer)
  }

  // MARK: Buffers run out

  /// Remembers that the backend holds a frame; counts and raises that once.
  private mutating func starve() {
    guard !receiver.isStarved else { return }
    receiver.isStarved = true
    receiver.searchDelay = E1000ReceiveState.shortestSearch
    registers.count(E1000Statistic.rnbc)
    receiver.burstCauses.insert(.receiverOverrun)
    searchLater()
  }

  /// Has the loop search for tail writes that KVM holds back.
  private mutating func searchLater() {
    if options.coalescesWrites { effects.set(.starvation, after: receiver.searchDelay) }
  }

  /// A register that may end starvation was written: the loop looks.
  mutating func receiveRingChanged() {
    guard receiver.isStarved else { return }
    effects.ringsDoorbell = true
    searchLater()
  }

  /// Ends starvation where the ring has buffers again.
  ///
  /// - Returns: whether the backend is to offer the frames that it holds.
  mutating func endStarvation() -> Bool {
    guard receiver.isStarved, canReceive, let ring = receiveRing(counting: false).ring,
      ring.available >= receiver.neededDescriptors
    else { return false }
    receiver.isStarved = false
    effects.cancel(.starvation)
    return true
  }

  /// The search found nothing: the next one comes later.
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
    // The FCS's four bytes are zeroes: nothing damages a frame here, and no guest recomputes it.
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
    noteDescriptorsLow(ring, used: used, control: control)
    countReceived(frame, octets: octets)
    return .accepted
  }

  /// The ring has not enough buffers now, or, full as it is, never will.
  private mutating func lacksBuffers(_ ring: E1000Ring, needed: Int) -> FrameDelivery {
    // Padding at the head is done with, so that a driver that waits for it can refill the ring.
    var skipped = 0
    while skipped < ring.available, ring.isNull(at: ring.index(ring.head, plus: skipped)) {
      ring.addStatus(E1000ReceiveStatus.done, at: ring.index(ring.head, plus: skipped))
      skipped += 1
    }
    registers[E1000Register.rdh] = UInt32(truncatingIfNeeded: ring.index(ring.head, plus: skipped))
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
    // With BSEX the size 2048 is reserved; the others are 16 times as long.
    return control & E1000ReceiveControl.bufferSizeExtension != 0 && size < 2048 ? size * 16 : size
  }

  /// Null descriptors that one packet's buffers may lie apart in all, so that no guest has the loop walk its whole ring
  /// for each frame.
  private static var mostPadding: Int { 256 }

  /// Finds `count` buffers from the head on; false where the ring has not as many now.
  private mutating func collectBuffers(_ ring: E1000Ring, count: Int, total: Int, bufferSize: Int) -> Bool {
    receiver.buffers.removeAll()
    receiver.places.removeAll(keepingCapacity: true)
    for place in 0..<ring.available {
      if receiver.places.count == count || place - receiver.places.count > Self.mostPadding { break }
      let descriptor = ring.load(E1000ReceiveDescriptor.self, at: ring.index(ring.head, plus: place))
      // SDM 3.2.5: padding, which gets no data.
      if descriptor.address == 0 { continue }
      let length = min(bufferSize, total - receiver.places.count * bufferSize)
      receiver.places.append(place)
      if let slice = memory.slice(at: descriptor.address, count: length) {
        receiver.buffers.append(slice)
      } else {
        // On a real bus the write would be aborted; the descriptor is used all the same.
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
    // Backends complete checksums for a receiver without offloads; should one not, the guest is still not shown it.
    let field = Int(partial.start) + Int(partial.offset)
    guard field + 2 <= frame.count, field >= 16 || !isStripped else { return }
    var sum = InternetSum()
    sum.add(frame.pieces, from: Int(partial.start), count: frame.count - Int(partial.start))
    let value = (sum.checksum == 0 ? 0xFFFF : sum.checksum).bigEndian
    withUnsafeBytes(of: value) { _ = receiver.buffers.copyIn(from: $0, at: field - (isStripped ? 4 : 0)) }
    counters.add(.checksumsCompleted)
  }

  /// Writes descriptors back; the last one says what is known of the packet.
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
    // The packet checksum costs a pass over all bytes: it is made for a guest that says where it starts.
    var checksum: UInt16 = 0
    let start = Int(control & E1000ReceiveChecksum.startMask)
    if start > 0, start < total {
      var sum = InternetSum()
      sum.add(receiver.buffers, from: start, count: total - start)
      checksum = sum.value
    }
    // Data before the descriptors that announce it.
    atomicMemoryFence(ordering: .releasing)
    var next = 0
    for (index, place) in receiver.places.enumerated() {
      // Padding before this buffer: DD alone is written.
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
