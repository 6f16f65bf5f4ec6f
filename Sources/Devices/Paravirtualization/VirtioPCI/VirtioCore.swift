import Counters
import GuestMemory
import Registers

/// Effects of an access to a device's state, which its `VirtioFunction` applies.
struct VirtioEffects: Sendable {
  /// The new level of INTA#; nil if the access did not set it.
  var pin: Bool?
  /// MSI-X vectors to signal.
  var vectors = WordSet()
  /// Queues for the loop to serve.
  var wakes = WordSet()
}

/// The part of the state that all virtio devices have: common configuration (VIRTIO 1.2, 4.1.4.3), queues, ISR status.
///
/// A value: each access changes it and records effects, which `VirtioFunction.access` applies.
struct VirtioCore {
  /// The registers that a reset clears.
  struct Registers {
    var deviceFeatureSelect: UInt32 = 0
    var driverFeatureSelect: UInt32 = 0
    var driverFeatures: UInt64 = 0
    var configurationVector: UInt16 = VirtioPCI.noVector
    var status: UInt8 = 0
    var generation: UInt8 = 0
    var queueSelect: UInt16 = 0
    /// Bit 0: a queue interrupt; bit 1: a configuration change (4.1.4.5).
    var isr: UInt8 = 0
    /// The driver started a reset while requests were in flight. Status reads 0 when they have ended.
    var isResetting = false
  }

  let memory: GuestMemory
  let counters: Counters
  let offeredFeatures: UInt64
  /// Number of MSI-X vectors; 0 for a device without MSI-X.
  let vectorCount: Int
  var registers = Registers()
  var queues: [Virtqueue]
  /// PCI command bit 2: the device may do DMA.
  private(set) var isBusMaster = false
  /// The machine is paused.
  var isPaused = false
  /// The driver enabled MSI-X.
  private var usesMessages = false
  /// The queues that wait for a request, for the loop to look at while it polls; `isPolled` says that it does.
  let polledQueues: PolledQueues
  private var isPolled = false
  /// Number of requests whose memory a backend may still access; a reset waits for them.
  private(set) var requestsInFlight = 0
  private var effects = VirtioEffects()

  /// - Parameters:
  ///   - queueSize: the maximum size of each queue.
  ///   - features: the features of the device type. The initializer adds the ring's features and VERSION_1.
  init(
    queues polledQueues: PolledQueues, size queueSize: UInt16, features: UInt64, memory: GuestMemory,
    counters: Counters,
    options: VirtioFunction.Options
  ) {
    self.polledQueues = polledQueues
    self.memory = memory
    self.counters = counters
    offeredFeatures =
      features | VirtioFeature.version1 | VirtioFeature.indirectDescriptors
      | (options.offersEventIndex ? VirtioFeature.eventIndex : 0)
    vectorCount = options.offersMSIX ? VirtioFunction.vectorCount(queueCount: polledQueues.count) : 0
    queues = Array(repeating: Virtqueue(maximumSize: queueSize), count: polledQueues.count)
  }

  /// Returns the effects of accesses since the last call.
  @inline(__always)
  mutating func takeEffects() -> VirtioEffects {
    defer { effects = VirtioEffects() }
    return effects
  }

  /// Whether the driver has started the device, it needs no reset, and bus mastering is on.
  var isRunning: Bool {
    registers.status & (VirtioStatus.driverOK | VirtioStatus.needsReset) == VirtioStatus.driverOK
      && !registers.isResetting && isBusMaster && !isPaused
  }

  func isNegotiated(_ feature: UInt64) -> Bool { registers.driverFeatures & feature != 0 }

  // MARK: Settings in PCI configuration space

  mutating func setBusMaster(_ isOn: Bool) {
    isBusMaster = isOn
    // Kicks were ignored while bus mastering was off.
    if isOn { wakeAll() }
  }

  mutating func setUsesMessages(_ isOn: Bool) {
    usesMessages = isOn
    // A function with MSI-X enabled must not use its pin (PCI 3.0, 6.8.3.3).
    if isOn { effects.pin = false }
  }

  // MARK: Queues

  /// Makes the loop serve a queue again.
  mutating func wake(queue: Int) { effects.wakes.insert(queue) }

  mutating func wakeAll() { for queue in queues.indices { wake(queue: queue) } }

  /// Takes the next request of `queue` into `chain`. If there is none, enables kicks and checks again before it returns
  /// false. While the loop polls, the queue only waits.
  mutating func popOrAskForKick(_ queue: Int, _ chain: inout DescriptorChain) throws(VirtqueueError) -> Bool {
    if try queues[queue].pop(&chain, from: memory) { return true }
    polledQueues.wait(queue, for: queues[queue].nextRequest)
    if isPolled { return false }
    queues[queue].setNotifications(true)
    // Check again: a request that was added before kicks were re-enabled would be missed.
    return try queues[queue].pop(&chain, from: memory)
  }

  /// The loop begins to poll, or stops: then drivers must kick for the next request of each queue that waits.
  mutating func setPolled(_ isPolled: Bool) {
    self.isPolled = isPolled
    // The rings of a device that does not run must not change. Each way to make it run serves all queues.
    guard isRunning else { return }
    polledQueues.forEachWaiting { queue, word in queues[queue].setNotifications(!isPolled, for: word.value) }
  }

  /// A batch of `queue` ended with work left: the loop continues after its other handlers.
  mutating func continueLater(queue: Int) {
    // The next entry is there already, so the loop sees a change as soon as it looks.
    if isPolled { polledQueues.wait(queue, for: queues[queue].nextRequest) } else { wake(queue: queue) }
  }

  /// Makes the requests that were pushed on `queue` visible to the driver, and interrupts if the driver requested it.
  ///
  /// Does nothing while bus mastering is off. The queue is served again when it is on.
  mutating func publish(queue: Int) {
    guard isBusMaster else { return }
    if queues[queue].publish() { interrupt(vector: queues[queue].vector, isr: 1) }
  }

  // MARK: Interrupts

  /// Stops the device because a ring is invalid: sets DEVICE_NEEDS_RESET and interrupts (2.1.2).
  mutating func fail(_ error: VirtqueueError) {
    counters.add(error.counter)
    registers.status |= VirtioStatus.needsReset
    configurationChanged()
  }

  /// Interrupts because the device itself changed its configuration.
  mutating func configurationChanged() {
    registers.generation &+= 1
    if registers.status & VirtioStatus.driverOK != 0 { interrupt(vector: registers.configurationVector, isr: 2) }
  }

  private mutating func interrupt(vector: UInt16, isr: UInt8) {
    if usesMessages {
      // 4.1.4.5.1: a configuration change sets its ISR bit also with MSI-X.
      if isr == 2 { registers.isr |= isr }
      guard vector != VirtioPCI.noVector else { return }
      if effects.vectors.insert(Int(vector)) { counters.add(.interrupts) }
      return
    }
    counters.add(.interrupts)
    registers.isr |= isr
    effects.pin = true
  }

  /// Reading the ISR status clears it and lowers INTA# (4.1.4.5).
  mutating func readISR() -> UInt8 {
    defer { registers.isr = 0 }
    effects.pin = false
    return registers.isr
  }

  // MARK: Requests in flight, and the reset

  mutating func requestsBegan(_ count: Int) { requestsInFlight += count }

  /// Ends `count` requests. If a reset waits for the last one, finishes the reset.
  mutating func requestsEnded(_ count: Int) {
    requestsInFlight -= count
    finishResetIfIdle()
  }

  mutating func beginReset() {
    registers.isResetting = true
    finishResetIfIdle()
  }

  private mutating func finishResetIfIdle() {
    guard registers.isResetting, requestsInFlight == 0 else { return }
    registers = Registers()
    for index in queues.indices { queues[index] = Virtqueue(maximumSize: queues[index].maximumSize) }
    effects.pin = false
  }
}
