import Backends
import Bus
import Counters
import EventLoop
import Failures
import GuestMemory
import Registers

/// virtio-net (VIRTIO 1.2, 5.1): one pair of queues and a control queue over a network backend.
public final class VirtioNet: VirtioFunction, FrameReceiver, @unchecked Sendable {
  static let receiveQueue = 0
  static let transmitQueue = 1
  static let controlQueue = 2
  /// Frames taken from the transmit queue before others on the loop get their turn.
  private static let batch = 64

  let backend: any NetworkBackend
  /// The largest frame's payload that the driver is told of.
  public let mtu: UInt16
  // Guarded by `lock`.
  var filter: VirtioNetFilter
  /// What GUEST_* features and the control queue allow the device to hand to the driver.
  var guestOffloads: NetworkOffloads = []
  var isLinkUp = true
  private var chain = DescriptorChain()
  private var filled: [(head: UInt16, bytes: Int)] = []

  /// - Parameter macAddress: six bytes.
  public init(
    name: String, macAddress: [UInt8], mtu: UInt16 = 1500, backend: any NetworkBackend, offersOffloads: Bool = true,
    memory: GuestMemory, loop: EventLoop, counters: Counters, options: Options = Options()
  ) throws(Failure) {
    self.backend = backend
    self.mtu = mtu
    filter = VirtioNetFilter(macAddress: macAddress)
    var features =
      VirtioNetwork.featureMAC | VirtioNetwork.featureStatus | VirtioNetwork.featureMTU
      | VirtioNetwork.featureMergeableBuffers | VirtioNetwork.featureControlQueue | VirtioNetwork.featureControlRX
      | VirtioNetwork.featureControlVLAN | VirtioNetwork.featureControlMACAddress
    if offersOffloads {
      let host = backend.acceptedOffloads
      if host.contains(.checksum) {
        features |= VirtioNetwork.featureChecksum
        if host.contains(.tso4) { features |= VirtioNetwork.featureHostTSO4 }
        if host.contains(.tso6) { features |= VirtioNetwork.featureHostTSO6 }
      }
      features |=
        VirtioNetwork.featureGuestChecksum | VirtioNetwork.featureGuestTSO4 | VirtioNetwork.featureGuestTSO6
        | VirtioNetwork.featureControlGuestOffloads
    }
    try super.init(
      name: name, type: VirtioNetwork.deviceType, classCode: (0x02, 0x00), queueCount: 3, features: features,
      memory: memory, loop: loop, counters: counters, options: options)
    backend.connect(self)
  }

  public override func detach() {
    backend.connect(nil)
    super.detach()
  }

  /// The link as the host sets it.
  public func setLink(up: Bool) {
    lock.withLock { _ in
      guard isLinkUp != up else { return }
      isLinkUp = up
      configurationChanged()
    }
  }

  // MARK: Negotiation

  public override func accepts(features: UInt64) -> Bool {
    // 5.1.3.1: what depends on what.
    func needs(_ feature: UInt64, _ required: UInt64) -> Bool { features & feature == 0 || features & required != 0 }
    return needs(VirtioNetwork.featureGuestTSO4 | VirtioNetwork.featureGuestTSO6, VirtioNetwork.featureGuestChecksum)
      && needs(VirtioNetwork.featureHostTSO4 | VirtioNetwork.featureHostTSO6, VirtioNetwork.featureChecksum)
      && needs(
        VirtioNetwork.featureControlRX | VirtioNetwork.featureControlVLAN | VirtioNetwork.featureControlMACAddress
          | VirtioNetwork.featureControlGuestOffloads, VirtioNetwork.featureControlQueue)
  }

  public override func deviceReset() {
    filter = VirtioNetFilter(macAddress: filter.permanentAddress)
    guestOffloads = []
  }

  /// The driver's features, as offloads; 5.1.6.5.6.1: before it says otherwise all it negotiated are on.
  var negotiatedOffloads: NetworkOffloads {
    var offloads: NetworkOffloads = []
    if isNegotiated(VirtioNetwork.featureGuestChecksum) { offloads.insert(.checksum) }
    if isNegotiated(VirtioNetwork.featureGuestTSO4) { offloads.insert(.tso4) }
    if isNegotiated(VirtioNetwork.featureGuestTSO6) { offloads.insert(.tso6) }
    return offloads
  }

  public override func statusChanged(_ status: UInt8) {
    if status & VirtioStatus.driverOK != 0 {
      guestOffloads = negotiatedOffloads
      filter.isActive = isNegotiated(VirtioNetwork.featureControlRX)
      filter.filtersVLAN = isNegotiated(VirtioNetwork.featureControlVLAN)
    }
  }

  // MARK: Queues

  public override func process(queue: Int) -> Bool {
    switch queue {
    case Self.receiveQueue:
      // The driver added buffers: what waits for them goes in without the lock.
      queues[queue].setNotifications(false)
      hasNewBuffers = true
      return false
    case Self.transmitQueue: return transmit()
    default: return control()
    }
  }

  /// What the backend is to be told once the lock is free, since it may call back.
  private var hasNewBuffers = false
  private var hasSent = false

  public override func afterService() {
    let (isReady, isBurst) = lock.withLock { _ in
      defer {
        hasNewBuffers = false
        hasSent = false
      }
      return (hasNewBuffers, hasSent)
    }
    if isBurst { backend.sentBurst() }
    // Notifications stay off while there are buffers; a receiver that ran dry asks for them itself.
    if isReady { backend.receiverReady() }
  }

  private func transmit() -> Bool {
    let queue = Self.transmitQueue
    queues[queue].setNotifications(false)
    var taken = 0
    do throws(VirtqueueError) {
      while taken < Self.batch, try popOrAskForKick(queue, &chain) {
        taken += 1
        send()
        queues[queue].push(chain.head, written: 0)
      }
    } catch {
      fail(error)
    }
    guard taken > 0 else { return false }
    hasSent = true
    publish(queue: queue)
    // A full batch ended without asking for kicks; the next look does that, even if it finds nothing.
    return isRunning && taken == Self.batch
  }

  private func send() {
    var header = (UInt64(0), UInt32(0))
    let parsed = withUnsafeMutableBytes(of: &header) { bytes -> Frame? in
      let bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[0..<VirtioHeader.size])
      guard chain.readable.copyOut(into: bytes) == VirtioHeader.size else { return nil }
      chain.readable.removeFirst(VirtioHeader.size)
      return VirtioHeader(UnsafeRawBufferPointer(bytes)).frame(chain.readable)
    }
    guard var frame = parsed, isAllowed(frame) else { return counters.add(.dropsMalformed) }
    guard isLinkUp else { return counters.add(.dropsFiltered) }
    // 5.1.6.2.1: DATA_VALID is not the driver's to give; a receiver would take its word for the checksum.
    frame.isChecksumVerified = false
    counters.add(.framesSent)
    counters.add(.bytesSent, frame.count)
    backend.send(frame)
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

  // MARK: Receiving

  public var acceptedOffloads: NetworkOffloads { lock.withLock { _ in guestOffloads } }

  public func receive(_ frame: Frame) -> FrameDelivery {
    lock.withLock { _ in
      guard isRunning, isLinkUp, queues[Self.receiveQueue].isEnabled, filter.accepts(frame.pieces) else {
        counters.add(.dropsFiltered)
        return .discarded
      }
      do throws(VirtqueueError) {
        return try fill(frame)
      } catch {
        fail(error)
        return .discarded
      }
    }
  }

  /// Copies header and frame into as many buffers as it takes (mergeable) or into one.
  private func fill(_ frame: Frame) throws(VirtqueueError) -> FrameDelivery {
    let queue = Self.receiveQueue
    let isMergeable = isNegotiated(VirtioNetwork.featureMergeableBuffers)
    var offset = 0
    var countPlace: (UnsafeMutableRawPointer, UnsafeMutableRawPointer)?
    filled.removeAll(keepingCapacity: true)
    repeat {
      guard try popOrAskForKick(queue, &chain) else {
        queues[queue].unpop(filled.count)
        guard filled.count >= Int(queues[queue].size) else { return .noBuffer }
        // All of the ring is not enough; waiting would block what comes behind.
        counters.add(.dropsNoReceiveBuffer)
        return .discarded
      }
      let isFirst = filled.isEmpty
      let room = chain.writable.count - (isFirst ? VirtioHeader.size : 0)
      let fits = isMergeable ? room > 0 : room >= frame.count
      guard fits, chain.readable.isEmpty else {
        // A buffer too small for what was negotiated goes back empty, and the frame is lost.
        for (head, _) in filled { queues[queue].push(head, written: 0) }
        queues[queue].push(chain.head, written: 0)
        counters.add(.badRequest)
        counters.add(.dropsMalformed)
        hasReceived = true
        return .discarded
      }
      if isFirst { countPlace = storeHeader(of: frame) }
      let copied = frame.pieces.copy(
        from: offset, count: min(room, frame.count - offset), to: chain.writable,
        at: isFirst ? VirtioHeader.size : 0)
      offset += copied
      filled.append((chain.head, copied + (isFirst ? VirtioHeader.size : 0)))
      guard filled.count <= Int(queues[queue].size) else { throw .chain }
    } while offset < frame.count

    if let countPlace {
      countPlace.0.storeBytes(of: UInt8(truncatingIfNeeded: filled.count), as: UInt8.self)
      countPlace.1.storeBytes(of: UInt8(truncatingIfNeeded: filled.count >> 8), as: UInt8.self)
    }
    for (head, bytes) in filled { queues[queue].push(head, written: bytes) }
    hasReceived = true
    counters.add(.framesReceived)
    counters.add(.bytesReceived, frame.count)
    counters.add(.bytesCopied, frame.count)
    return .accepted
  }

  /// Writes the header to the start of `chain`; returns where the two bytes of num_buffers lie, known only at the end.
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

  /// Something was pushed and not yet published.
  private var hasReceived = false

  public func receivedBurst() {
    lock.withLock { _ in
      guard hasReceived else { return }
      hasReceived = false
      publish(queue: Self.receiveQueue)
    }
  }

  // MARK: Configuration (5.1.4)

  public override func readDeviceConfiguration(_ offset: Int) -> UInt8 {
    switch offset {
    case 0..<6: filter.macAddress[offset]
    case 6: isLinkUp ? 1 : 0
    case 8: 1  // max_virtqueue_pairs
    case 10: UInt8(truncatingIfNeeded: mtu)
    case 11: UInt8(truncatingIfNeeded: mtu >> 8)
    default: 0
    }
  }
}
