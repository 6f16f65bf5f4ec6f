import Backends
import Bus
import Counters
import EventLoop
import Failures
import GuestMemory
import Registers

/// virtio-net (VIRTIO 1.2, 5.1): pairs of queues and a control queue over a network backend.
///
/// Pair n receives on queue 2n and transmits on queue 2n + 1 (5.1.2). All are served on one loop: several pairs give
/// each vCPU rings and interrupts of its own.
public final class VirtioNet: VirtioFunction, @unchecked Sendable {
  /// Most pairs of queues.
  public static let pairLimit = 8

  let backend: any NetworkBackend
  /// max_virtqueue_pairs.
  public let pairCount: Int
  /// The largest frame's payload that the driver is told of.
  public let mtu: UInt16
  // Guarded by `lock`.
  var filter: VirtioNetFilter
  /// What GUEST_* features and the control queue allow the device to hand to the driver.
  var guestOffloads: NetworkOffloads = []
  var isLinkUp = true
  /// Pairs that the driver lets frames be received on: one, until it asks for more (5.1.6.5.5).
  var enabledPairs = 1
  var steering: VirtioNetSteering
  var chain = DescriptorChain()
  /// The buffers of the frame that is being received.
  var filled: [(head: UInt16, bytes: Int)] = []
  /// Pairs on whose receive queue something was pushed and not yet published, one bit each.
  var pairsToPublish: UInt64 = 0
  /// The backend is to be told once the lock is free, since it may call back.
  var hasNewBuffers = false
  /// Frames of `outgoing` that the backend has not taken yet: a reset waits for them.
  var framesInFlight = 0
  /// Collected with the lock held, sent after its release.
  let outgoing: LoopBound<OutgoingFrames>

  /// - Parameters:
  ///   - macAddress: six bytes.
  ///   - queuePairs: as many as the guest has CPUs is best; at most `pairLimit`. With one, MQ is not offered.
  public init(
    name: String, macAddress: [UInt8], mtu: UInt16 = 1500, queuePairs: Int = 1, backend: any NetworkBackend,
    offersOffloads: Bool = true, memory: GuestMemory, loop: EventLoop, counters: Counters, options: Options = Options()
  ) throws(Failure) {
    self.backend = backend
    self.mtu = mtu
    pairCount = min(max(1, queuePairs), Self.pairLimit)
    steering = VirtioNetSteering(isUsed: pairCount > 1)
    filter = VirtioNetFilter(macAddress: macAddress)
    outgoing = LoopBound(loop, OutgoingFrames())
    var features =
      VirtioNetwork.featureMAC | VirtioNetwork.featureStatus | VirtioNetwork.featureMTU
      | VirtioNetwork.featureMergeableBuffers | VirtioNetwork.featureControlQueue | VirtioNetwork.featureControlRX
      | VirtioNetwork.featureControlRXExtra | VirtioNetwork.featureControlVLAN
      | VirtioNetwork.featureControlMACAddress
    if pairCount > 1 { features |= VirtioNetwork.featureMultiqueue }
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
      name: name, type: VirtioNetwork.deviceType, classCode: (0x02, 0x00), queueCount: 2 * pairCount + 1,
      features: features, memory: memory, loop: loop, counters: counters, options: options)
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
        VirtioNetwork.featureControlRX | VirtioNetwork.featureControlRXExtra | VirtioNetwork.featureControlVLAN
          | VirtioNetwork.featureControlMACAddress | VirtioNetwork.featureControlGuestOffloads
          | VirtioNetwork.featureMultiqueue, VirtioNetwork.featureControlQueue)
  }

  public override func deviceReset() {
    filter = VirtioNetFilter(macAddress: filter.permanentAddress)
    guestOffloads = []
    enabledPairs = 1
    steering.forgetAll()
    pairsToPublish = 0
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

  // MARK: Queues (5.1.2)

  /// Behind the pairs that the driver knows of.
  private var controlQueue: Int { 2 * (isNegotiated(VirtioNetwork.featureMultiqueue) ? pairCount : 1) }

  public override func process(queue: Int) -> Bool {
    if queue == controlQueue { return control(queue) }
    // A driver that did not take MQ has no queue behind the control queue.
    guard queue < controlQueue else { return false }
    // What a driver queued before it took a pair away is sent too, or it would be stranded.
    if queue & 1 == 1 { return transmit(queue) }
    // The driver added buffers: what waits for them goes in without the lock.
    queues[queue].setNotifications(false)
    hasNewBuffers = true
    return false
  }

  public override var requestsInFlight: Int { framesInFlight }

  public override func afterService() {
    sendOutgoing()
    let isReady = lock.withLock { _ in
      defer { hasNewBuffers = false }
      return hasNewBuffers
    }
    // Notifications stay off while there are buffers; a receiver that ran dry asks for them itself.
    if isReady { backend.receiverReady() }
  }

  // MARK: Configuration (5.1.4)

  public override func readDeviceConfiguration(_ offset: Int) -> UInt8 {
    switch offset {
    case 0..<6: filter.macAddress[offset]
    case 6: isLinkUp ? 1 : 0
    case 8: UInt8(truncatingIfNeeded: pairCount)
    case 10: UInt8(truncatingIfNeeded: mtu)
    case 11: UInt8(truncatingIfNeeded: mtu >> 8)
    default: 0
    }
  }
}
