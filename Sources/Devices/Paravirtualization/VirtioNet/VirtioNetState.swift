import Backends
import EventLoop
import GuestMemory
import Registers

/// The state of a virtio-net device (VIRTIO 1.2, 5.1).
struct VirtioNetState: VirtioState {
  /// The work that remains after the lock is released. It calls the backend, which may call back.
  struct Work {
    var outgoing = OutgoingFrames()
    /// Frames that wait for a buffer may be offered again.
    var hasNewBuffers = false
  }

  var core: VirtioCore
  let pairCount: Int
  let mtu: UInt16
  let clock: any LoopClock
  var filter: VirtioNetFilter
  /// The offloads that the driver accepts, by GUEST_* features and the control queue.
  var guestOffloads: NetworkOffloads = []
  private(set) var isLinkUp = true
  /// Number of pairs on which frames are received: one until the driver sets it (5.1.6.5.5).
  var enabledPairs = 1
  var steering: VirtioNetSteering
  var chain = DescriptorChain()
  /// The buffers of the current received frame.
  var filled: [(head: UInt16, bytes: Int)] = []
  /// Pairs whose receive queue has buffers that were pushed but not yet published.
  var pairsToPublish = WordSet()

  init(core: VirtioCore, macAddress: [UInt8], mtu: UInt16, pairCount: Int, clock: any LoopClock) {
    self.core = core
    self.pairCount = pairCount
    self.mtu = mtu
    self.clock = clock
    steering = VirtioNetSteering(isUsed: pairCount > 1)
    filter = VirtioNetFilter(macAddress: macAddress)
  }

  mutating func setLink(up: Bool) {
    guard isLinkUp != up else { return }
    isLinkUp = up
    core.configurationChanged()
  }

  // MARK: Negotiation

  func accepts(features: UInt64) -> Bool {
    // 5.1.3.1: dependencies between features.
    func needs(_ feature: UInt64, _ required: UInt64) -> Bool { features & feature == 0 || features & required != 0 }
    return needs(VirtioNetwork.featureGuestTSO4 | VirtioNetwork.featureGuestTSO6, VirtioNetwork.featureGuestChecksum)
      && needs(VirtioNetwork.featureHostTSO4 | VirtioNetwork.featureHostTSO6, VirtioNetwork.featureChecksum)
      && needs(
        VirtioNetwork.featureControlRX | VirtioNetwork.featureControlRXExtra | VirtioNetwork.featureControlVLAN
          | VirtioNetwork.featureControlMACAddress | VirtioNetwork.featureControlGuestOffloads
          | VirtioNetwork.featureMultiqueue, VirtioNetwork.featureControlQueue)
  }

  mutating func deviceReset() {
    filter = VirtioNetFilter(macAddress: filter.permanentAddress)
    guestOffloads = []
    enabledPairs = 1
    steering.forgetAll()
    pairsToPublish = WordSet()
  }

  /// The negotiated offloads. All are on until the driver changes them by the control queue (5.1.6.5.6.1).
  private var negotiatedOffloads: NetworkOffloads {
    var offloads: NetworkOffloads = []
    if core.isNegotiated(VirtioNetwork.featureGuestChecksum) { offloads.insert(.checksum) }
    if core.isNegotiated(VirtioNetwork.featureGuestTSO4) { offloads.insert(.tso4) }
    if core.isNegotiated(VirtioNetwork.featureGuestTSO6) { offloads.insert(.tso6) }
    return offloads
  }

  mutating func statusChanged(_ status: UInt8) {
    guard status & VirtioStatus.driverOK != 0 else { return }
    guestOffloads = negotiatedOffloads
    filter.isActive = core.isNegotiated(VirtioNetwork.featureControlRX)
    filter.filtersVLAN = core.isNegotiated(VirtioNetwork.featureControlVLAN)
  }

  // MARK: Queues (5.1.2)

  /// The queue after the pairs that the driver knows: one without MQ, otherwise all.
  private var controlQueue: Int { 2 * (core.isNegotiated(VirtioNetwork.featureMultiqueue) ? pairCount : 1) }

  mutating func process(queue: Int, into work: inout Work) -> Bool {
    if queue == controlQueue {
      let pairs = enabledPairs
      let hasMore = control(queue)
      // Steering changes with the number of pairs: a frame that waits for a buffer may now go to another pair.
      if enabledPairs != pairs { work.hasNewBuffers = true }
      return hasMore
    }
    // A driver without MQ has no queue after the control queue.
    guard queue < controlQueue else { return false }
    // Serve disabled pairs too: frames that the driver queued before it disabled a pair would otherwise never be sent.
    if queue & 1 == 1 { return transmit(queue, into: &work.outgoing) }
    // The driver added buffers. Disable kicks while there are buffers; `fill` re-enables them when it finds none.
    core.queues[queue].setNotifications(false)
    work.hasNewBuffers = true
    return false
  }

  // MARK: Configuration (5.1.4)

  func readDeviceConfiguration(_ offset: Int) -> UInt8 {
    switch offset {
    case 0..<6: filter.macAddress[offset]
    case 6: isLinkUp ? 1 : 0
    case 8: UInt8(truncatingIfNeeded: pairCount)
    case 10: UInt8(truncatingIfNeeded: mtu)
    case 11: UInt8(truncatingIfNeeded: mtu >> 8)
    default: 0
    }
  }

  /// Does nothing: all fields are read-only, and the driver sets its address by the control queue.
  mutating func writeDeviceConfiguration(_ offset: Int, _ value: UInt8) {}
}
