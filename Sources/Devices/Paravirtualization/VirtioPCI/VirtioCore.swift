import Counters
import GuestMemory
import Registers

/// What an access to a device's state asks of its `VirtioFunction`.
struct VirtioEffects: Sendable {
  /// The level of INTA#, where the access set it.
  var pin: Bool?
  /// MSI-X vectors whose messages are due.
  var vectors = WordSet()
  /// Queues that the loop has to look at.
  var wakes = WordSet()
}

/// The part of a device's state that all virtio devices have: the common configuration (VIRTIO 1.2, 4.1.4.3), the queues
/// and the ISR status.
///
/// A value: each access changes it and leaves effects, which `VirtioFunction.access` applies.
struct VirtioCore {
  /// What a reset clears.
  struct Registers {
    var deviceFeatureSelect: UInt32 = 0
    var driverFeatureSelect: UInt32 = 0
    var driverFeatures: UInt64 = 0
    var configurationVector: UInt16 = VirtioPCI.noVector
    var status: UInt8 = 0
    var generation: UInt8 = 0
    var queueSelect: UInt16 = 0
    /// Bit 0: a queue, bit 1: the configuration (4.1.4.5).
    var isr: UInt8 = 0
    /// The driver asked for a reset while requests were in flight; it reads as done once they have ended.
    var isResetting = false
  }

  let memory: GuestMemory
  let counters: Counters
  let offeredFeatures: UInt64
  /// MSI-X vectors; 0 for a device without MSI-X.
  let vectorCount: Int
  var registers = Registers()
  var queues: [Virtqueue]
  /// PCI command bit 2: the device may reach memory.
  private(set) var isBusMaster = false
  /// The driver turned MSI-X on.
  private var usesMessages = false
  /// Requests whose memory a backend may still touch; a reset waits for them.
  private(set) var requestsInFlight = 0
  private var effects = VirtioEffects()

  /// - Parameter features: those of the device; the ring's and VERSION_1 are added here.
  init(
    queueCount: Int, features: UInt64, memory: GuestMemory, counters: Counters, options: VirtioFunction.Options
  ) {
    self.memory = memory
    self.counters = counters
    offeredFeatures =
      features | VirtioFeature.version1 | VirtioFeature.indirectDescriptors
      | (options.offersEventIndex ? VirtioFeature.eventIndex : 0)
    vectorCount = options.offersMSIX ? VirtioFunction.vectorCount(queueCount: queueCount) : 0
    queues = Array(repeating: Virtqueue(), count: queueCount)
  }

  /// Returns what accesses asked for since the last call.
  @inline(__always)
  mutating func takeEffects() -> VirtioEffects {
    defer { effects = VirtioEffects() }
    return effects
  }

  /// Whether the driver set the device going and it has not broken.
  var isRunning: Bool {
    registers.status & (VirtioStatus.driverOK | VirtioStatus.needsReset) == VirtioStatus.driverOK
      && !registers.isResetting && isBusMaster
  }

  func isNegotiated(_ feature: UInt64) -> Bool { registers.driverFeatures & feature != 0 }

  // MARK: What the driver sets in configuration space

  mutating func setBusMaster(_ isOn: Bool) {
    isBusMaster = isOn
    // Kicks that came while the function was no bus master were not acted on.
    if isOn { wakeAll() }
  }

  mutating func setUsesMessages(_ isOn: Bool) {
    usesMessages = isOn
    // A function that may send messages must not use its pin (PCI 3.0, 6.8.3.3).
    if isOn { effects.pin = false }
  }

  // MARK: Queues

  /// Makes the loop look at a queue again.
  mutating func wake(queue: Int) { effects.wakes.insert(queue) }

  mutating func wakeAll() { for queue in queues.indices { wake(queue: queue) } }

  /// Takes the next request of `queue` into `chain`; where there is none, asks for a kick before it says so.
  mutating func popOrAskForKick(_ queue: Int, _ chain: inout DescriptorChain) throws(VirtqueueError) -> Bool {
    if try queues[queue].pop(&chain, from: memory) { return true }
    queues[queue].setNotifications(true)
    // Check again: a request that was added before kicks were re-enabled would be missed.
    return try queues[queue].pop(&chain, from: memory)
  }

  /// Shows the driver what was pushed on `queue` and interrupts it if it wants that.
  ///
  /// Without bus mastering the used ring is not written; the queue is served again once it is on.
  mutating func publish(queue: Int) {
    guard isBusMaster else { return }
    if queues[queue].publish() { interrupt(vector: queues[queue].vector, isr: 1) }
  }

  // MARK: Interrupts

  /// The ring cannot be followed: stop, and tell the driver (2.1.2).
  mutating func fail(_ error: VirtqueueError) {
    counters.add(error.counter)
    registers.status |= VirtioStatus.needsReset
    configurationChanged()
  }

  /// The device's configuration changed by itself.
  mutating func configurationChanged() {
    registers.generation &+= 1
    if registers.status & VirtioStatus.driverOK != 0 { interrupt(vector: registers.configurationVector, isr: 2) }
  }

  private mutating func interrupt(vector: UInt16, isr: UInt8) {
    if usesMessages {
      // 4.1.4.5.1: a change of the configuration shows in the ISR even where a message reports it.
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

  // MARK: Requests in flight, and resets that wait for them

  mutating func requestsBegan(_ count: Int) { requestsInFlight += count }

  /// Ends `count` requests, and with the last one a reset that waited for it.
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
    for index in queues.indices { queues[index] = Virtqueue() }
    effects.pin = false
  }
}
