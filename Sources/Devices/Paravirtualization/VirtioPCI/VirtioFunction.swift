import Bus
import Counters
import EventLoop
import Failures
import Registers
import Threads

/// A virtio device on PCI without a legacy interface (VIRTIO 1.2, 4.1): capabilities, BARs, doorbells and messages.
///
/// One lock owns the `VirtioState` of each device, and `access` changes it. A kick signals the queue's doorbell, either
/// in KVM or by a register write that exits. The event loop then serves the queue.
// Unchecked: `PCIFunction` is; the state here is constant, or in `Guarded` or `LoopBound`.
package class VirtioFunction: PCIFunction, Device, @unchecked Sendable {
  /// Offsets of the structures in BAR 0.
  enum Layout {
    static let common: UInt64 = 0x0000
    static let isr: UInt64 = 0x1000
    static let device: UInt64 = 0x2000
    static let notify: UInt64 = 0x3000
    static let size: UInt32 = 0x4000
    static let notifyMultiplier: UInt32 = 4
  }

  package let counters: Counters
  package let messages: MSIXTable?
  let loop: EventLoop
  let polledQueues: PolledQueues
  private let doorbells: [EventDescriptor]
  private let watches = Guarded<[EventLoop.WatchKey]>(.leaf, [])
  /// Set by `addCapabilities`, in `init`.
  private var pciWindow: PCIWindow?

  /// Features that can be turned off.
  package struct Options: Sendable {
    package var offersMSIX = true
    package var offersEventIndex = true
    package init() {}
  }

  /// One vector for each queue, and one for configuration changes.
  static func vectorCount(queueCount: Int) -> Int { queueCount + 1 }

  /// - Parameter queueCount: below 64, because `WordSet` holds the queues and the vectors.
  init(
    name: String, type: UInt16, classCode: (base: UInt8, sub: UInt8), polledQueues: PolledQueues,
    loop: EventLoop, counters: Counters, options: Options
  ) throws(Failure) {
    let queueCount = polledQueues.count
    precondition(Self.vectorCount(queueCount: queueCount) <= WordSet.limit, "\(name) has \(queueCount) queues")
    self.loop = loop
    self.counters = counters
    self.polledQueues = polledQueues
    messages = options.offersMSIX ? MSIXTable(vectorCount: Self.vectorCount(queueCount: queueCount)) : nil
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
      let key = try loop.watch(event) { self.serve(queue: index) }
      watches.withLock { $0.append(key) }
    }
    loop.add(self)
  }

  package func pause() -> Bool {
    accessCore { $0.isPaused = true }
    return isIdle
  }

  package func start() {
    accessCore { core in
      core.isPaused = false
      core.wakeAll()
    }
  }

  /// Disconnects the device from its event loop. On the loop's thread.
  package func detach() {
    let keys = watches.withLock { keys in
      defer { keys = [] }
      return keys
    }
    for key in keys { loop.remove(key) }
    loop.remove(self)
    polledQueues.removeAll()
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
        VirtioPCI.capabilityNotify, Layout.notify, UInt64(doorbells.count) * UInt64(Layout.notifyMultiplier),
        extra: [UInt8(Layout.notifyMultiplier), 0, 0, 0]))
    // The window: the driver writes bar, offset and length. The hooks below serve the data bytes.
    let body = capability(VirtioPCI.capabilityPCI, 0, 0, extra: [0, 0, 0, 0])
    let window = addCapability(
      PCICapabilityID.vendorSpecific, body,
      writable: [0, 0, 0xFF, 0, 0, 0] + Array(repeating: 0xFF, count: 12))
    pciWindow = PCIWindow(offset: window)
    if let messages {
      let (body, writable) = messages.capability(bar: 1, tableOffset: 0, pendingOffset: 0x800)
      messageControl = addCapability(PCICapabilityID.msiX, body, writable: writable) + MSIXRegister.messageControl
    }
  }

  private var messageControl = 0

  // MARK: Access to the state

  /// Runs `body` on `state` with the lock held, and applies the effects. Callable on any thread.
  ///
  /// Sends interrupts before it releases the lock, so that two threads cannot swap the levels of the pin. Rings
  /// doorbells after it releases the lock.
  @inline(__always)
  final func access<State: VirtioState, Value: Sendable>(
    _ state: borrowing Guarded<State>, _ body: (inout State) -> Value
  ) -> Value {
    var (value, wakes) = state.withLock { state in
      let value = body(&state)
      var effects = state.core.takeEffects()
      if let level = effects.pin { setPin(asserted: level) }
      while let vector = effects.vectors.popFirst() { messages?.signal(vector) }
      return (value, effects.wakes)
    }
    while let queue = wakes.popFirst() { doorbells[queue].signal() }
    return value
  }

  // MARK: Overridden by each device, which knows the type of its state

  /// Reads BAR 0.
  func readRegister(_ access: BusAccess) -> UInt64 { 0 }

  /// Writes BAR 0, except kicks.
  func writeRegister(_ access: BusAccess, _ value: UInt64) {}

  /// Runs `body` on the core, and applies the effects like `access`.
  func accessCore(_ body: (inout VirtioCore) -> Void) {}

  /// Serves a queue after a kick. On the loop's thread.
  func serve(queue: Int) {}

  // MARK: Configuration space

  package override func configurationWritten(_ offset: Int) {
    if let messages, offset == messageControl + 1 {
      let control = UInt16(truncatingIfNeeded: readConfiguration(messageControl, width: 2))
      // The core first: if MSI-X goes off, the table would drop later messages of the core.
      accessCore { $0.setUsesMessages(control & MSIXRegister.controlEnable != 0) }
      messages.setControl(control)
    }
    if offset == PCIRegister.command {
      // When the guest's write that turns bus mastering off returns, no queue is served and no request is in flight.
      accessCore { $0.setBusMaster(isBusMaster) }
      if !isBusMaster { letRequestsEnd(on: loop) { isIdle } }
    }
    pciWindow?.written(offset, function: self)
  }

  private var isIdle: Bool {
    var isIdle = true
    accessCore { isIdle = $0.requestsInFlight == 0 }
    return isIdle
  }

  package override func readDynamicConfiguration(_ offset: Int) -> UInt8? { pciWindow?.read(offset, function: self) }

  // MARK: BARs

  package override func read(_ access: BusAccess) -> UInt64 {
    if access.region == 1 { return readMessages(access) }
    return readRegister(access)
  }

  private func readMessages(_ access: BusAccess) -> UInt64 {
    guard let messages else { return 0 }
    let offset = Int(access.offset & 0xFFF)
    return offset < 0x800
      ? messages.readTable(offset, width: access.width) : messages.readPending(offset - 0x800, width: access.width)
  }

  package override func write(_ access: BusAccess, _ value: UInt64) {
    if access.region == 1 {
      messages?.writeTable(Int(access.offset & 0xFFF), width: access.width, value)
      return
    }
    guard access.offset & ~0xFFF == Layout.notify else { return writeRegister(access, value) }
    let queue = Int(access.offset & 0xFFF) / Int(Layout.notifyMultiplier)
    if doorbells.indices.contains(queue) { doorbells[queue].signal() }
  }

  package override func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    access.region == 1 ? VirtioRegisterNames.message(access.offset) : VirtioRegisterNames.name(access.offset)
  }
}
