import Bus
import Counters
import EventLoop
import Failures
import GuestMemory
import Registers
import Threads

/// A virtio device on PCI without a legacy interface (VIRTIO 1.2, 4.1): negotiation, queues, interrupts.
///
/// One lock guards registers and queues. A kick signals the queue's doorbell, by KVM or by the register, and the queue
/// is served on the event loop. A subclass overrides the hooks at the end; they are called with the lock held.
open class VirtioFunction: PCIFunction, Device, @unchecked Sendable {
  /// Where the structures lie in BAR 0.
  enum Layout {
    static let common: UInt64 = 0x0000
    static let isr: UInt64 = 0x1000
    static let device: UInt64 = 0x2000
    static let notify: UInt64 = 0x3000
    static let size: UInt32 = 0x4000
    static let notifyMultiplier: UInt32 = 4
  }

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

  public let memory: GuestMemory
  public let counters: Counters
  public let messages: MSIXTable?
  let loop: EventLoop
  let lock = Guarded(.device, ())
  // Guarded by `lock`.
  var registers = Registers()
  public internal(set) var queues: [Virtqueue]
  let offeredFeatures: UInt64
  private let doorbells: [EventDescriptor]
  private var watches: [EventLoop.WatchKey] = []
  private var pciWindow = PCIWindow()

  /// What a device of this kind is made with.
  public struct Options: Sendable {
    public var offersMSIX = true
    public var offersEventIndex = true
    public init() {}
  }

  init(
    name: String, type: UInt16, classCode: (base: UInt8, sub: UInt8), queueCount: Int, features: UInt64,
    memory: GuestMemory, loop: EventLoop, counters: Counters, options: Options
  ) throws(Failure) {
    self.memory = memory
    self.loop = loop
    self.counters = counters
    queues = Array(repeating: Virtqueue(), count: queueCount)
    offeredFeatures =
      features | VirtioFeature.version1 | VirtioFeature.indirectDescriptors
      | (options.offersEventIndex ? VirtioFeature.eventIndex : 0)
    messages = options.offersMSIX ? MSIXTable(vectorCount: queueCount + 1) : nil
    var doorbells: [EventDescriptor] = []
    for _ in 0..<queueCount { doorbells.append(try EventDescriptor()) }
    self.doorbells = doorbells
    var identity = PCIIdentity(
      vendor: VirtioPCI.vendor, device: VirtioPCI.deviceBase + type, baseClass: classCode.base, subclass: classCode.sub)
    identity.revision = 1
    identity.subsystemVendor = VirtioPCI.vendor
    identity.subsystem = 0x0040 + type
    identity.interruptPin = 1
    let kicks = doorbells.enumerated().map { index, event in
      Acceleration.doorbell(
        offset: Layout.notify + UInt64(Layout.notifyMultiplier) * UInt64(index), width: 0, match: nil, event: event)
    }
    super.init(
      name: name, identity: identity,
      bars: [
        PCIBaseAddress(kind: .memory, size: Layout.size, accelerations: kicks),
        messages == nil ? nil : PCIBaseAddress(kind: .memory, size: 0x1000),
      ])
    addCapabilities()
    for (index, event) in doorbells.enumerated() {
      watches.append(try loop.watch(event) { self.serve(queue: index) })
    }
  }

  /// Lets go of the event loop. On the loop's thread.
  open func detach() {
    for watch in watches { loop.remove(watch) }
    watches = []
  }

  private func addCapabilities() {
    func capability(_ type: UInt8, _ offset: UInt64, _ length: UInt64, extra: [UInt8] = []) -> [UInt8] {
      func bytes(_ value: UInt64) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) } }
      return [UInt8(16 + extra.count), type, 0, 0, 0, 0] + bytes(offset) + bytes(length) + extra
    }
    addCapability(
      PCICapabilityID.vendorSpecific, capability(VirtioPCI.capabilityCommon, Layout.common, VirtioCommon.size))
    addCapability(PCICapabilityID.vendorSpecific, capability(VirtioPCI.capabilityISR, Layout.isr, 1))
    addCapability(PCICapabilityID.vendorSpecific, capability(VirtioPCI.capabilityDevice, Layout.device, 0x1000))
    addCapability(
      PCICapabilityID.vendorSpecific,
      capability(
        VirtioPCI.capabilityNotify, Layout.notify, UInt64(queues.count) * UInt64(Layout.notifyMultiplier),
        extra: [UInt8(Layout.notifyMultiplier), 0, 0, 0]))
    // The window: bar, offset and length are the driver's to write; the data bytes are served by hooks.
    let body = capability(VirtioPCI.capabilityPCI, 0, 0, extra: [0, 0, 0, 0])
    pciWindow.offset = addCapability(
      PCICapabilityID.vendorSpecific, body,
      writable: [0, 0, 0xFF, 0, 0, 0] + Array(repeating: 0xFF, count: 12))
    if let messages {
      let (body, writable) = messages.capability(bar: 1, tableOffset: 0, pendingOffset: 0x800)
      messageControl = addCapability(PCICapabilityID.msiX, body, writable: writable) + MSIXRegister.messageControl
    }
  }

  private var messageControl = 0

  // MARK: Configuration space

  public override func configurationWritten(_ offset: Int) {
    if let messages, offset == messageControl + 1 {
      messages.setControl(UInt16(truncatingIfNeeded: readConfiguration(messageControl, width: 2)))
      // A function that may send messages must not use its pin (PCI 3.0, 6.8.3.3).
      if messages.isEnabled { lock.withLock { _ in setPin(asserted: false) } }
    }
    // Kicks that came while the function was no bus master were not acted on.
    if offset == PCIRegister.command {
      if isBusMaster { for queue in doorbells.indices { wake(queue: queue) } }
      // Where the guest turns it off, no queue is being served afterwards, and no request is under way.
      lock.withLock { _ in }
      if !isBusMaster { letRequestsEnd(on: loop) { lock.withLock { _ in requestsInFlight == 0 } } }
    }
    pciWindow.written(offset, function: self)
  }

  public override func readDynamicConfiguration(_ offset: Int) -> UInt8? { pciWindow.read(offset, function: self) }

  // MARK: BARs

  public override func read(_ access: BusAccess) -> UInt64 {
    if access.region == 1 { return readMessages(access) }
    return lock.withLock { _ in
      let offset = access.offset & 0xFFF
      switch access.offset & ~0xFFF {
      case Layout.common: return readCommon(offset, width: access.width)
      case Layout.isr:
        guard offset == 0 else { return 0 }
        let value = registers.isr
        registers.isr = 0
        setPin(asserted: false)
        return UInt64(value)
      case Layout.device:
        var value: UInt64 = 0
        for index in 0..<access.width {
          value |= UInt64(readDeviceConfiguration(Int(offset) + index)) << UInt64(8 * index)
        }
        return value
      default: return 0
      }
    }
  }

  private func readMessages(_ access: BusAccess) -> UInt64 {
    guard let messages else { return 0 }
    let offset = Int(access.offset & 0xFFF)
    return offset < 0x800
      ? messages.readTable(offset, width: access.width) : messages.readPending(offset - 0x800, width: access.width)
  }

  public override func write(_ access: BusAccess, _ value: UInt64) {
    if access.region == 1 {
      messages?.writeTable(Int(access.offset & 0xFFF), width: access.width, value)
      return
    }
    let offset = access.offset & 0xFFF
    switch access.offset & ~0xFFF {
    case Layout.common: lock.withLock { _ in writeCommon(offset, width: access.width, value) }
    case Layout.device:
      lock.withLock { _ in
        for index in 0..<access.width {
          writeDeviceConfiguration(Int(offset) + index, UInt8(truncatingIfNeeded: value >> UInt64(8 * index)))
        }
      }
    case Layout.notify:
      let queue = Int(offset) / Int(Layout.notifyMultiplier)
      if doorbells.indices.contains(queue) { doorbells[queue].signal() }
    default: break
    }
  }

  public override func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    access.region == 1 ? VirtioRegisterNames.message(access.offset) : VirtioRegisterNames.name(access.offset)
  }

  // MARK: Queues

  /// Serves a queue on the loop's thread.
  private func serve(queue: Int) {
    loop.assertOnLoop()
    let more = lock.withLock { _ -> Bool in
      guard isRunning, queues[queue].isEnabled else { return false }
      counters.add(.doorbells)
      let more = process(queue: queue)
      // What was pushed as bus mastering went off waits for this.
      if queues[queue].hasUnpublished { publish(queue: queue) }
      return more
    }
    // A batch ended with work left: others on the loop come first.
    if more { doorbells[queue].signal() }
    afterService()
  }

  /// Makes the loop look at a queue again.
  final func wake(queue: Int) { doorbells[queue].signal() }

  /// Takes the next request of `queue` into `chain`; where there is none, asks for a kick before it says so. Lock held.
  final func popOrAskForKick(_ queue: Int, _ chain: inout DescriptorChain) throws(VirtqueueError) -> Bool {
    if try queues[queue].pop(&chain, from: memory) { return true }
    queues[queue].setNotifications(true)
    // What came before the driver saw the wish for kicks would wait for ever.
    return try queues[queue].pop(&chain, from: memory)
  }

  /// Whether the driver set the device going and it has not broken. Lock held.
  final var isRunning: Bool {
    registers.status & (VirtioStatus.driverOK | VirtioStatus.needsReset) == VirtioStatus.driverOK
      && !registers.isResetting && isBusMaster
  }

  final func isNegotiated(_ feature: UInt64) -> Bool { registers.driverFeatures & feature != 0 }

  /// Shows the driver what was pushed on `queue` and interrupts it if it wants that. Lock held.
  ///
  /// Without bus mastering the used ring is not written; the queue is served again once it is on.
  final func publish(queue: Int) {
    guard isBusMaster else { return }
    if queues[queue].publish() { interrupt(vector: queues[queue].vector, isr: 1) }
  }

  /// The ring cannot be followed: stop, and tell the driver (2.1.2). Lock held.
  final func fail(_ error: VirtqueueError) {
    counters.add(error.counter)
    registers.status |= VirtioStatus.needsReset
    configurationChanged()
  }

  /// The device's configuration changed by itself. Lock held.
  final func configurationChanged() {
    registers.generation &+= 1
    if registers.status & VirtioStatus.driverOK != 0 { interrupt(vector: registers.configurationVector, isr: 2) }
  }

  private func interrupt(vector: UInt16, isr: UInt8) {
    if let messages, messages.isEnabled {
      // 4.1.4.5.1: a change of the configuration shows in the ISR whatever tells of it.
      if isr == 2 { registers.isr |= isr }
      guard vector != VirtioPCI.noVector else { return }
      counters.add(.interrupts)
      messages.signal(Int(vector))
      return
    }
    counters.add(.interrupts)
    registers.isr |= isr
    setPin(asserted: true)
  }

  /// Requests of the driver before its reset have ended. Lock held.
  final func completeReset() {
    registers = Registers()
    for index in queues.indices { queues[index] = Virtqueue() }
    setPin(asserted: false)
  }

  /// Ends a reset that waited for the last request in flight. Lock held.
  final func finishResetIfIdle() {
    if registers.isResetting, requestsInFlight == 0 { completeReset() }
  }

  // MARK: Hooks, called with the lock held

  /// Requests whose memory a backend may still touch; a reset waits for them.
  open var requestsInFlight: Int { 0 }

  /// The byte at `offset` of the device-specific configuration.
  open func readDeviceConfiguration(_ offset: Int) -> UInt8 { 0 }

  open func writeDeviceConfiguration(_ offset: Int, _ value: UInt8) {}

  /// Serves what is available on `queue`, a batch at most; whether more is left.
  open func process(queue: Int) -> Bool { false }

  /// Whether the device can work with what the driver chose (3.1.1, step 5).
  open func accepts(features: UInt64) -> Bool { true }

  /// The driver added bits to the device status.
  open func statusChanged(_ status: UInt8) {}

  /// The driver resets the device.
  open func deviceReset() {}

  /// Called on the loop's thread without the lock, after a queue was served.
  open func afterService() {}
}
