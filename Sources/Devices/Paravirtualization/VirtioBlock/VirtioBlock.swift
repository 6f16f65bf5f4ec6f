import Backends
import Bus
import Counters
import EventLoop
import Failures
import GuestMemory
import Registers
import Threads

/// virtio-blk (VIRTIO 1.2, 5.2): several request queues over one storage backend.
///
/// Implemented: reads, writes, flushes, discards, write-zeroes, the ID, topology and a switchable cache. Not implemented:
/// a legacy interface, packed rings, secure erase, zoned disks.
// Unchecked: `PCIFunction` is; the state here is constant, or in `Guarded` or `LoopBound`.
package final class VirtioBlock: VirtioFunction, StorageClient, @unchecked Sendable {
  let storage: any Storage
  private let state: Guarded<VirtioBlockState>
  /// Requests that were taken from a queue and not yet submitted to the storage.
  private let submitted: LoopBound<[StorageRequest]>
  /// `settleCompletions` is posted.
  private let isSettling: LoopBound<Bool>

  /// - Parameters:
  ///   - serial: only its first 20 bytes are used.
  ///   - queueCount: 1 to 63; best is the guest's number of CPUs.
  package init(
    name: String, storage: any Storage, serial: String, queueCount: Int = 1, memory: GuestMemory, loop: EventLoop,
    counters: Counters, options: Options = Options()
  ) throws(Failure) {
    self.storage = storage
    submitted = LoopBound(loop, [])
    isSettling = LoopBound(loop, false)
    var features =
      VirtioBlk.featureSizeMax | VirtioBlk.featureSegmentMax | VirtioBlk.featureGeometry | VirtioBlk.featureBlockSize
      | VirtioBlk.featureFlush | VirtioBlk.featureTopology | VirtioBlk.featureConfigWCE
    if queueCount > 1 { features |= VirtioBlk.featureMultiqueue }
    if storage.isReadOnly {
      features |= VirtioBlk.featureReadOnly
    } else {
      if storage.supportsDiscard { features |= VirtioBlk.featureDiscard }
      if storage.supportsWriteZeroes { features |= VirtioBlk.featureWriteZeroes }
    }
    let polledQueues = PolledQueues(count: queueCount, loop: loop)
    let core = VirtioCore(
      queues: polledQueues, size: VirtioBlockState.queueSize, features: features, memory: memory, counters: counters,
      options: options)
    state = Guarded(.device, VirtioBlockState(core: core, storage: storage, serial: serial))
    try super.init(
      name: name, type: VirtioBlk.deviceType, classCode: (0x01, 0x00), polledQueues: polledQueues, loop: loop,
      counters: counters, options: options)
    access(state) { $0.setClient(self) }
  }

  package override func pause() -> Bool {
    settleCompletions()
    return super.pause()
  }

  package override func detach() {
    super.detach()
    access(state) { $0.setClient(nil) }
  }

  // MARK: Registers

  override func readRegister(_ access: BusAccess) -> UInt64 { self.access(state) { $0.read(access) } }

  override func writeRegister(_ access: BusAccess, _ value: UInt64) { self.access(state) { $0.write(access, value) } }

  override func accessCore(_ body: (inout VirtioCore) -> Void) { access(state) { body(&$0.core) } }

  // MARK: Queues, on the event loop

  override func serve(queue: Int) {
    loop.assertOnLoop()
    access(state) { $0.serve(queue: queue, into: &submitted.value) }
    guard !submitted.value.isEmpty else { return }
    // Submits after releasing the lock: a storage may complete a request at once.
    // By index: an iterator would share the array, and its storage would be allocated again.
    for index in submitted.value.indices {
      let request = submitted.value[index]
      storage.submit(request)
    }
    submitted.value.removeAll(keepingCapacity: true)
    storage.commit()
    settleCompletions()
  }

  package func completed(_ request: StorageRequest, _ result: StorageResult) {
    loop.assertOnLoop()
    access(state) { $0.completed(request.tag, result) }
    // The loop may deliver several completions. A posted block publishes them together.
    if !isSettling.value {
      isSettling.value = true
      loop.post { self.settleCompletions() }
    }
  }

  private func settleCompletions() {
    isSettling.value = false
    access(state) { $0.publishCompletions() }
  }
}
