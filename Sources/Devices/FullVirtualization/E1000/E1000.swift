import Backends
import Bus
import Counters
import EventLoop
import Failures
import GuestMemory
import Registers
import Threads

/// The Intel 82540EM gigabit Ethernet controller (*PCI/PCI-X Family of Gigabit Ethernet Controllers SDM*).
///
/// vCPU threads read and write registers; frames move on the event loop's thread alone, which a doorbell wakes.
/// `lock` guards all state but the transmitter, which belongs to the loop's thread. It is never held while the
/// backend is called, so a backend may call back. Loop and backend hold the device until `detach`; they hold it
/// strongly, since a weak reference would make each retain on an access's way take the slow path.
public final class E1000: PCIFunction, Device, @unchecked Sendable {
  /// What can be turned off, to measure what it brings.
  public struct Options: Sendable {
    /// Lets KVM hold back writes that no guest waits for: RDT, EECD and the filter tables.
    public var coalescesWrites = true
    /// IMC too, where the interrupt line looks for held-back writes before it is raised again at a guest's EOI.
    public var coalescesMask = true
    /// Honours ITR, RDTR, RADV, TIDV and TADV; otherwise each cause interrupts at once.
    public var interruptModeration = true
    /// Most transmit descriptors taken at a time, 1 to 4096; the head moves as a batch is done.
    public var transmitBatch = 64

    public init(
      coalescesWrites: Bool = true, coalescesMask: Bool = true, interruptModeration: Bool = true,
      transmitBatch: Int = 64
    ) {
      self.coalescesWrites = coalescesWrites
      self.coalescesMask = coalescesMask
      self.interruptModeration = interruptModeration
      self.transmitBatch = transmitBatch
    }
  }

  /// ITR, RDTR, RADV, TIDV, TADV, and the search for held-back writes of RDT.
  enum Timer: Int { case throttle, receiveDelay, receiveLimit, transmitDelay, transmitLimit, starvation }

  /// Registers whose writes nobody waits for, so that KVM may hold them back until the next exit. The loop asks for tail
  /// and filters before it looks at a frame; the EEPROM's pins are read back by an exit; an interrupt that IMC came too
  /// late for is what a bus that posts writes does, too. IMS is none of them: a cause may wait for it.
  private static func patientWrites(_ options: Options) -> [Acceleration] {
    guard options.coalescesWrites else { return [] }
    typealias R = E1000Register
    let tables = UInt64(R.vfta - R.mta) + UInt64(4 * E1000Limit.vlanRegisters)  // MTA, RAL, RAH, VFTA
    return [
      .coalesced(offset: UInt64(R.rdt), size: 4), .coalesced(offset: UInt64(R.eecd), size: 4),
      .coalesced(offset: UInt64(R.mta), size: tables),
    ] + (options.coalescesMask ? [.coalesced(offset: UInt64(R.imc), size: 4)] : [])
  }

  let memory: GuestMemory
  let backend: any NetworkBackend
  let loop: EventLoop
  let counters: Counters
  let options: Options
  let lock = Guarded(.device, ())
  let registers: E1000RegisterFile
  /// Wakes the loop: the tail moved, or what kept a ring from moving is over.
  let doorbell: EventDescriptor

  var interrupts = E1000Interrupts()
  var eeprom: E1000EEPROM
  var phy = E1000PHY()
  /// IOADDR: where IODATA points.
  var portAddress: UInt32 = 0

  let transmitEpoch = E1000TransmitEpoch()
  /// The loop's thread is draining the ring and will look at the tail again.
  var isTransmitting = false
  var transmitDelayed = false

  var receiver = E1000ReceiveState()
  let scratch: E1000Scratch
  let transmitter: LoopBound<E1000Transmitter>

  /// By `Timer`; empty once detached.
  private let timers = Guarded<[LoopTimer]>(.timers, [])
  private let watch = Guarded<EventLoop.WatchKey?>(.leaf, nil)

  /// Makes the device, powers it on and connects it to `backend`.
  ///
  /// - Parameter macAddress: the six bytes that the EEPROM holds.
  /// - Throws: `Failure` when the address has not six bytes or the host has no descriptor or memory left.
  public init(
    name: String, macAddress: [UInt8], memory: GuestMemory, backend: any NetworkBackend, loop: EventLoop,
    counters: Counters, options: Options = .init()
  ) throws(Failure) {
    guard macAddress.count == 6, macAddress[0] & 1 == 0 else {
      throw Failure("make \(name)", cause: "its MAC address is not six bytes of a unicast address")
    }
    guard let registers = E1000RegisterFile() else { throw Failure("make \(name)", cause: "no memory is left") }
    self.memory = memory
    self.backend = backend
    self.loop = loop
    self.counters = counters
    self.options = options
    self.registers = registers
    do { doorbell = try EventDescriptor() } catch {
      registers.deallocate()
      throw error
    }
    eeprom = E1000EEPROM(macAddress: macAddress)
    scratch = E1000Scratch()
    transmitter = LoopBound(
      loop,
      E1000Transmitter(
        batch: min(max(1, options.transmitBatch), 4096), memory: memory, epoch: transmitEpoch, counters: counters))
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
          accelerations: Self.patientWrites(options)),
        PCIBaseAddress(kind: .port, size: E1000Port.size),
      ])
    lock.withLock { _ in reset(powerOn: true) }
    let key = try loop.watch(doorbell) { [self] in doorbellRang() }
    watch.withLock { $0 = key }
    let made = [
      loop.makeTimer { [self] in throttleElapsed() },
      loop.makeTimer { [self] in receiveDelayElapsed() },
      loop.makeTimer { [self] in receiveDelayElapsed() },
      loop.makeTimer { [self] in transmitDelayElapsed() },
      loop.makeTimer { [self] in transmitDelayElapsed() },
      loop.makeTimer { [self] in searchForBuffers() },
    ]
    timers.withLock { $0 = made }
    loop.sync { [self] in backend.connect(self) }
  }

  deinit { registers.deallocate() }

  /// Plugs the cable in or out; the guest sees STATUS.LU and LSC.
  public func setLink(up: Bool) {
    lock.withLock { _ in
      guard phy.cableLink != up else { return }
      phy.cableLink = up
      updateLink()
    }
  }

  /// Takes the device from its loop and backend; no frame moves afterwards. Safe to call twice.
  public func detach() {
    let key = watch.withLock { key in
      defer { key = nil }
      return key
    }
    guard let key else { return }
    loop.remove(key)
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

  /// Sets or cancels one of the timers; does nothing once detached.
  func set(_ timer: Timer, after delay: UInt64?) {
    timers.withLock { timers in
      guard timer.rawValue < timers.count else { return }
      if let delay { timers[timer.rawValue].set(after: delay) } else { timers[timer.rawValue].cancel() }
    }
  }

  private func doorbellRang() {
    loop.assertOnLoop()
    offerHeldFrames()
    transmit()
  }

  // MARK: Where accesses and PCI's hooks arrive

  /// BAR 0 is memory, BAR 1 the window in port space.
  public override func read(_ access: BusAccess) -> UInt64 {
    access.region == 0 ? readMemory(access) : readPort(access)
  }

  public override func write(_ access: BusAccess, _ value: UInt64) {
    if access.region == 0 { writeMemory(access, value) } else { writePort(access, value) }
  }

  public override func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    guard access.region == 0 else { return access.offset < 4 ? "IOADDR" : access.offset < 8 ? "IODATA" : nil }
    return E1000RegisterNames.name(at: UInt32(truncatingIfNeeded: access.offset))
  }

  /// A guest that turns bus mastering on may have moved tails before; where it turns it off, no write-back is under way
  /// afterwards.
  public override func configurationWritten(_ offset: Int) {
    guard offset == PCIRegister.command else { return }
    lock.withLock { _ in if isBusMaster { receiveRingChanged() } }
    if isBusMaster { doorbell.signal() }
  }
}
