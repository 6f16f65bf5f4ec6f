import Backends
import Bus
import Counters
import EventLoop
import Failures
import GuestMemory
import Registers
import Threads

/// virtio-net (VIRTIO 1.2, 5.1): queue pairs and a control queue over a network backend.
///
/// Pair n receives on queue 2n and transmits on queue 2n + 1 (5.1.2). One loop serves all of them. Several pairs give
/// each vCPU its own rings and interrupts.
///
/// Implemented: checksum and segmentation offloads, mergeable buffers, all receive filters, the control queue, MTU and
/// multiqueue. Not implemented: a legacy interface, packed rings, RSS, UDP fragmentation, announcements.
// Unchecked: `PCIFunction` is; the state here is constant, or in `Guarded` or `LoopBound`.
package final class VirtioNet: VirtioFunction, @unchecked Sendable {
  /// Maximum number of queue pairs.
  package static let pairLimit = 8

  let backend: any NetworkBackend
  /// max_virtqueue_pairs.
  package let pairCount: Int
  /// The MTU that the device offers to the driver.
  package let mtu: UInt16
  private let state: Guarded<VirtioNetState>
  private let work: LoopBound<VirtioNetState.Work>

  /// - Parameters:
  ///   - macAddress: six bytes.
  ///   - queuePairs: at most `pairLimit`; best is the guest's number of CPUs. With one pair, MQ is not offered.
  package init(
    name: String, macAddress: [UInt8], mtu: UInt16 = 1500, queuePairs: Int = 1, backend: any NetworkBackend,
    offersOffloads: Bool = true, memory: GuestMemory, loop: EventLoop, counters: Counters, options: Options = Options()
  ) throws(Failure) {
    self.backend = backend
    self.mtu = mtu
    pairCount = min(max(1, queuePairs), Self.pairLimit)
    work = LoopBound(loop, VirtioNetState.Work())
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
    let queueCount = 2 * pairCount + 1
    let polledQueues = PolledQueues(count: queueCount, loop: loop)
    let core = VirtioCore(
      queues: polledQueues, size: Self.queueSize, features: features, memory: memory, counters: counters,
      options: options)
    state = Guarded(
      .device,
      VirtioNetState(core: core, macAddress: macAddress, mtu: mtu, pairCount: pairCount, clock: loop.clock))
    try super.init(
      name: name, type: VirtioNetwork.deviceType, classCode: (0x02, 0x00), polledQueues: polledQueues, loop: loop,
      counters: counters, options: options)
    backend.connect(self)
  }

  /// The maximum size of a queue: QEMU's largest rx_queue_size. A window of a megabyte in frames of 1500 bytes fits.
  private static let queueSize: UInt16 = 1024

  package override func start() {
    super.start()
    // Frames that came during the pause. No queue would be served if no driver runs.
    backend.receiverReady()
  }

  package override func detach() {
    backend.connect(nil)
    super.detach()
  }

  /// Sets the link state that the driver sees.
  package func setLink(up: Bool) { access(state) { $0.setLink(up: up) } }

  // MARK: Registers

  override func readRegister(_ access: BusAccess) -> UInt64 { self.access(state) { $0.read(access) } }

  override func writeRegister(_ access: BusAccess, _ value: UInt64) { self.access(state) { $0.write(access, value) } }

  override func accessCore(_ body: (inout VirtioCore) -> Void) { access(state) { body(&$0.core) } }

  // MARK: Queues, on the event loop

  override func serve(queue: Int) {
    loop.assertOnLoop()
    access(state) { $0.serve(queue: queue, into: &work.value) }
    sendOutgoing()
    guard work.value.hasNewBuffers else { return }
    work.value.hasNewBuffers = false
    backend.receiverReady()
  }

  /// Sends the frames that `transmit` collected, and returns their requests to the driver. Sends after releasing the
  /// lock: the receiver may take its own.
  private func sendOutgoing() {
    guard !work.value.outgoing.heads.isEmpty else { return }
    for frame in work.value.outgoing.frames { backend.send(frame) }
    access(state) { $0.sent(work.value.outgoing) }
    work.value.outgoing.removeAll()
    backend.sentBurst()
  }
}

extension VirtioNet: FrameReceiver {
  package var acceptedOffloads: NetworkOffloads { access(state) { $0.guestOffloads } }

  package func receive(_ frame: Frame) -> FrameDelivery {
    loop.assertOnLoop()
    return access(state) { $0.receive(frame) }
  }

  package func receivedBurst() { access(state) { $0.publishReceived() } }
}
