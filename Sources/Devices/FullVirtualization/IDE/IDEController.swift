import Backends
import Bus
import Counters
import EventLoop
import Failures
import GuestMemory
import Registers
import Threads

/// The IDE function of the Intel 82371SB (PIIX3), 8086:7010: two channels of two ATA disks and a bus master.
///
/// After the 82371SB datasheet (2.3), ATA/ATAPI-6 with the CHS commands of ATA/ATAPI-5, and *Programming Interface for
/// Bus Master IDE Controller* 1.0 (1994). Disks only: no packet devices.
///
/// `lock` guards both channels, their drives and the counters. Registers are used on vCPU threads; transfers run on the
/// event loop, which a command wakes through `doorbell`. No storage is called with the lock held.
public final class IDEController: PCIFunction, Device, @unchecked Sendable {
  public struct Options: Sendable {
    /// Lets KVM hold back writes to the task file, BMIS and the PRD pointer until the next access that exits, such as
    /// the command, or the end of a command, which sets what a write to BMIS clears.
    public var coalescesTaskFile = true
    public init() {}
  }

  let lock = Guarded(.device, ())
  let memory: GuestMemory
  let loop: EventLoop
  let options: Options
  let primary: IDEChannel
  let secondary: IDEChannel
  let ports = Guarded(.fixedPorts, IDEPorts())
  private let doorbell: EventDescriptor
  /// Writes to BMIC that only stop, or choose the direction, without an exit.
  let quietCommands: [QuietCommands]
  private let watch = Guarded<EventLoop.WatchKey?>(.leaf, nil)
  /// Guarded by `lock`.
  var isDetached = false

  /// - Throws: `Failure` when the host has no descriptors left.
  public init(name: String, memory: GuestMemory, loop: EventLoop, counters: Counters, options: Options = .init())
    throws(Failure)
  {
    self.memory = memory
    self.loop = loop
    self.options = options
    primary = IDEChannel(number: 0, counters: counters)
    secondary = IDEChannel(number: 1, counters: counters)
    doorbell = try EventDescriptor()
    quietCommands = [try QuietCommands(channel: 0), try QuietCommands(channel: 1)]
    var identity = PCIIdentity(vendor: 0x8086, device: 0x7010, baseClass: 0x01, subclass: 0x01)
    // Both channels at the legacy ports, and a bus master.
    identity.programmingInterface = 0x80
    let held = [2, 10].map { Acceleration.coalesced(offset: $0, size: 1) }
    let pointers = [4, 12].map { Acceleration.coalesced(offset: $0, size: 4) }
    let bar = PCIBaseAddress(
      kind: .port, size: UInt32(BusMasterIDERegister.size),
      accelerations: (options.coalescesTaskFile ? held + pointers : []) + quietCommands.flatMap(\.accelerations))
    super.init(name: name, identity: identity, bars: [nil, nil, nil, nil, bar])
    // Medium DEVSEL and fast back-to-back, as the datasheet's PCISTS.
    setConfiguration(PCIRegister.status, 0x80)
    setConfiguration(PCIRegister.status + 1, 0x02)
    // Firmware leaves both channels' ports decoded.
    for timing in [PIIX3IDERegister.primaryTiming, PIIX3IDERegister.secondaryTiming] {
      setConfiguration(timing, 0x00, writable: 0xFF)
      setConfiguration(timing + 1, UInt8(PIIX3IDERegister.decodeEnable >> 8), writable: 0xF3)
    }
    setConfiguration(PIIX3IDERegister.slaveTiming, 0x00, writable: 0xFF)
    let key = try loop.watch(doorbell) { self.serve() }
    watch.withLock { $0 = key }
  }

  func channel(_ number: Int) -> IDEChannel { number == 0 ? primary : secondary }
  private var isStorageBusy: Bool { primary.isStorageBusy || secondary.isStorageBusy }

  public override func roomWasFreed() { updatePorts() }

  /// Puts a disk on a cable: `channel` 0 or 1, `drive` 0 (master) or 1. For before the guest runs.
  ///
  /// - Parameters:
  ///   - model: at most 40 ASCII characters, as IDENTIFY DEVICE shows it.
  ///   - serial: at most 20 ASCII characters.
  public func attachDrive(_ storage: any Storage, channel: Int, drive: Int, model: String, serial: String) {
    let disk = ATADrive(storage: storage, model: model, serial: serial)
    disk.request.client = self
    lock.withLock { _ in
      let cable = self.channel(channel)
      disk.request.tag = (cable.number << 1) | (drive & 1)
      if drive & 1 == 0 { cable.drive0 = disk } else { cable.drive1 = disk }
    }
  }

  /// Takes the function off its bus and its loop. What the storage still does for it ends unseen, and until then keeps
  /// the controller.
  public func detach() {
    let key = watch.withLock { key in
      defer { key = nil }
      return key
    }
    if let key { loop.remove(key) }
    writeConfiguration(PCIRegister.command, 0, width: 2)
    lock.withLock { _ in
      isDetached = true
      for channel in [primary, secondary] {
        channel.abandon()
        channel.line?.set(asserted: false)
        channel.line = nil
        if !channel.isStorageBusy { channel.forgetClients() }
      }
    }
    ports.withLock { $0 = IDEPorts() }
  }

  public override func read(_ access: BusAccess) -> UInt64 { readElement(access) }
  public override func write(_ access: BusAccess, _ value: UInt64) { writeElement(access, value) }

  /// `rep ins` at the data register is one copy.
  public override func readBlock(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer) {
    guard let channel = dataChannel(access) else { return super.readBlock(access, into: buffer) }
    locked(channel) { $0.readData(into: buffer) }
  }

  public override func writeBlock(_ access: BusAccess, from buffer: UnsafeRawBufferPointer) {
    guard let channel = dataChannel(access) else { return super.writeBlock(access, from: buffer) }
    locked(channel) { $0.writeData(from: buffer) }
  }

  public override func configurationWritten(_ offset: Int) {
    switch offset {
    case PCIRegister.command:
      for channel in [primary, secondary] {
        locked(channel) { channel in
          channel.isBusMaster = isBusMaster
          channel.startEngineIfReady()
        }
      }
      if !isBusMaster { letRequestsEnd(on: loop) { lock.withLock { _ in !isStorageBusy } } }
      updatePorts()
    case PIIX3IDERegister.primaryTiming + 1, PIIX3IDERegister.secondaryTiming + 1: updatePorts()
    default: break
    }
  }

  func ring() { doorbell.signal() }
}
