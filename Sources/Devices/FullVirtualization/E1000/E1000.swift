import Backends
import Bus
import Counters
import EventLoop
import Failures
import GuestMemory
import Registers
import Threads

/// The Intel 82540EM gigabit Ethernet controller, 8086:100E.
///
/// Follows *PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual* (SDM) and uses Intel's names.
///
/// BAR 0: 128 KiB of registers, in memory space. BAR 1: two ports, IOADDR and IODATA, that access the same registers.
///
/// Implemented: the EEPROM and the PHY, both rings with legacy and extended descriptors, checksum and TCP segmentation
/// offload, all receive filters, VLAN tags, statistics, interrupt moderation and loopback.
///
/// Not implemented: flash, wake-up, flow control and TBI mode (their registers at most hold a value); TSE for UDP; a
/// computed FCS; the descriptor thresholds of TXDCTL and RXDCTL, except LWTHRESH.
///
/// Any thread may change the state through `access`, which applies the effects. Frames move only on the event loop's
/// thread. The loop and the backend hold the device until `detach`. Their references are strong: a weak reference would
/// send every retain during an access down the slow path.
// Unchecked: `PCIFunction` is; the state here is constant, or in `Guarded` or `LoopBound`.
package final class E1000: PCIFunction, Device, @unchecked Sendable {
  /// Features that can be turned off to measure their effect.
  package struct Options: Sendable {
    /// Lets KVM hold writes that no guest waits for: RDT, EECD and the filter tables.
    package var coalescesWrites = true
    /// Lets KVM hold writes of IMC too. This requires an interrupt line that applies held writes before it raises the
    /// line again after the guest's EOI.
    package var coalescesMask = true
    /// Lets the guest store its tails in RAM, without an exit, while traffic flows.
    package var tailPages = true
    /// Applies the delays in ITR, RDTR, RADV, TIDV and TADV; otherwise each cause interrupts at once.
    package var interruptModeration = true
    /// Maximum number of transmit descriptors in a batch, 1 to 4096. The head moves when a batch is complete.
    package var transmitBatch = 64

    package init(
      coalescesWrites: Bool = true, coalescesMask: Bool = true, interruptModeration: Bool = true,
      transmitBatch: Int = 64, tailPages: Bool = true
    ) {
      self.coalescesWrites = coalescesWrites
      self.coalescesMask = coalescesMask
      self.interruptModeration = interruptModeration
      self.transmitBatch = transmitBatch
      self.tailPages = tailPages
    }
  }

  /// Registers whose writes KVM may hold until the next exit, because no guest waits for them.
  ///
  /// - RDT and the filter tables: the loop applies held writes before it stores the first frame of a burst.
  /// - EECD: the guest reads the EEPROM's pins back, and the read exits.
  /// - IMC: a late mask costs at most one extra interrupt, as with posted PCI writes.
  ///
  /// IMS is not among them: a pending cause may be waiting for it.
  private static func patientWrites(_ options: Options) -> [Acceleration] {
    guard options.coalescesWrites else { return [] }
    typealias R = E1000Register
    let tables = UInt64(R.vfta - R.mta) + UInt64(4 * E1000Limit.vlanRegisters)  // MTA, RAL, RAH, VFTA
    return [
      .coalesced(offset: UInt64(R.rdt), size: 4), .coalesced(offset: UInt64(R.eecd), size: 4),
      .coalesced(offset: UInt64(R.mta), size: tables),
    ] + (options.coalescesMask ? [.coalesced(offset: UInt64(R.imc), size: 4)] : [])
  }

  let backend: any NetworkBackend
  let loop: EventLoop
  let options: Options
  private let state: Guarded<E1000State>
  let transmitter: LoopBound<E1000Transmitter>
  let receivePage: RegisterPage
  let transmitPage: RegisterPage
  /// Wakes the loop.
  private let doorbell: EventDescriptor
  /// Indexed by `E1000Timer`; empty after `detach`.
  private let timers = Guarded<[LoopTimer]>(.timers, [])
  private let watch = Guarded<EventLoop.WatchKey?>(.leaf, nil)

  /// Makes the device, powers it on and connects it to `backend`.
  ///
  /// - Parameter macAddress: the six bytes that the EEPROM holds.
  /// - Throws: `Failure` when `macAddress` is not a unicast address of six bytes, or when the host has no file
  ///   descriptor or memory left.
  package init(
    name: String, macAddress: [UInt8], memory: GuestMemory, backend: any NetworkBackend, loop: EventLoop,
    counters: Counters, options: Options = .init()
  ) throws(Failure) {
    guard macAddress.count == 6, macAddress[0] & 1 == 0 else {
      throw Failure("make \(name)", cause: "its MAC address is not a unicast address of six bytes")
    }
    guard let registers = E1000RegisterFile() else { throw Failure("make \(name)", cause: "the host is out of memory") }
    self.backend = backend
    self.loop = loop
    self.options = options
    let epoch = E1000TransmitEpoch()
    doorbell = try EventDescriptor()
    receivePage = try RegisterPage(stored: doorbell)
    transmitPage = try RegisterPage(stored: doorbell)
    state = Guarded(
      .device,
      E1000State(
        registers: registers, eeprom: E1000EEPROM(macAddress: macAddress), memory: memory, counters: counters,
        options: options, transmitEpoch: epoch, receivePage: receivePage, transmitPage: transmitPage))
    transmitter = LoopBound(
      loop,
      E1000Transmitter(
        batch: min(max(1, options.transmitBatch), 4096), memory: memory, epoch: epoch, counters: counters))
    var identity = PCIIdentity(
      vendor: E1000Identity.vendor, device: E1000Identity.device, baseClass: 0x02, subclass: 0x00)
    identity.revision = E1000Identity.revision
    identity.subsystemVendor = E1000Identity.vendor
    identity.subsystem = E1000Identity.subsystem
    identity.interruptPin = 1
    identity.hasSystemErrorEnable = true
    super.init(
      name: name, identity: identity,
      bars: [
        PCIBaseAddress(
          kind: .memory, size: E1000Register.memorySize,
          accelerations: Self.patientWrites(options) + [
            .page(offset: UInt64(E1000Register.receivePage), page: receivePage),
            .page(offset: UInt64(E1000Register.transmitPage), page: transmitPage),
          ]),
        PCIBaseAddress(kind: .port, size: E1000Port.size),
      ])
    let key = try loop.watch(doorbell) { [self] in
      offerHeldFrames()
      transmit()
    }
    watch.withLock { $0 = key }
    let made = E1000Timer.allCases.map { timer in loop.makeTimer { [self] in timerElapsed(timer) } }
    timers.withLock { $0 = made }
    loop.add(self)
    loop.sync { [self] in backend.connect(self) }
  }

  package func pause() -> Bool {
    access { $0.isPaused = true }
    return true
  }

  package func start() {
    access { state in
      state.isPaused = false
      state.wakeTransmitter()
    }
    backend.receiverReady()
  }

  /// Disconnects the device from its loop and backend; no frame moves afterwards. Safe to call twice.
  package func detach() {
    let key = watch.withLock { key in
      defer { key = nil }
      return key
    }
    guard let key else { return }
    loop.remove(key)
    loop.remove(self)
    let made = timers.withLock { timers in
      defer { timers = [] }
      return timers
    }
    for timer in made {
      timer.cancel()
      loop.remove(timer)
    }
    loop.sync { [backend] in backend.connect(nil) }
  }

  // MARK: Access to the state

  /// Runs `body` on the state with the lock held, and applies the effects. Callable on any thread.
  ///
  /// Drives INTA# and sets timers before it releases the lock, so that two threads cannot swap their order. Rings the
  /// doorbell after it releases the lock: the loop's thread wakes and takes the lock at once.
  @inline(__always)
  func access<Value: Sendable>(_ body: (inout E1000State) -> Value) -> Value {
    let (value, ringsDoorbell) = state.withLock { state in
      state.isBusMaster = isBusMaster
      let value = body(&state)
      if state.hasRareEffects { applyRareEffects(&state) }
      return (value, state.effects.takeDoorbell())
    }
    if ringsDoorbell { doorbell.signal() }
    return value
  }

  /// Not inlined, because most accesses change neither the pin, nor a timer, nor a page.
  @inline(never)
  private func applyRareEffects(_ state: inout E1000State) {
    if !state.effects.pages.isEmpty { state.applyPages(now: loop.clock.now) }
    if let level = state.settlePin(now: loop.clock.now) { setPin(asserted: level) }
    let changed = state.effects.takeTimers()
    guard changed != 0 else { return }
    timers.withLock { timers in
      // A detached device has no timers.
      for index in timers.indices where changed >> UInt8(index) & 1 != 0 {
        if let delay = state.effects.delays[index] { timers[index].set(after: delay) } else { timers[index].cancel() }
      }
    }
  }

  private func timerElapsed(_ timer: E1000Timer) {
    switch timer {
    case .throttle: access { $0.interrupts.throttleElapsed() }
    case .receiveDelay, .receiveLimit: access { $0.endReceiveDelay() }
    case .transmitDelay, .transmitLimit: access { $0.endTransmitDelay() }
    case .starvation: searchForBuffers()
    case .tailLook: lookAtTail()
    }
  }

  // MARK: Accesses from the bus, and hooks of PCIFunction

  package override func read(_ access: BusAccess) -> UInt64 {
    self.access { access.region == 0 ? $0.readMemory(access) : $0.readPort(access) }
  }

  package override func write(_ access: BusAccess, _ value: UInt64) {
    self.access { access.region == 0 ? $0.writeMemory(access, value) : $0.writePort(access, value) }
  }

  package override func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    guard access.region == 0 else { return access.offset < 4 ? "IOADDR" : access.offset < 8 ? "IODATA" : nil }
    return E1000RegisterNames.name(at: UInt32(truncatingIfNeeded: access.offset))
  }

  /// Takes the device's lock: no write-back is still running when a guest's write that disables bus mastering returns.
  package override func configurationWritten(_ offset: Int) {
    if offset == PCIRegister.command { access { $0.commandWritten() } }
    // The BAR may have moved, or memory space may be off.
    if offset == PCIRegister.command || offset == PCIRegister.bar0 + 3 { access { $0.settleHiddenPages() } }
  }
}
