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
/// Follows the 82371SB datasheet (2.3), ATA/ATAPI-6 with the CHS commands of ATA/ATAPI-5, and *Programming Interface
/// for Bus Master IDE Controller* 1.0 (1994). Disks only: no packet devices.
///
/// Ports: 1F0-1F7, 3F6, 170-177 and 376 while the guest enables their decoding, and the bus master's 16 ports in BAR 4.
/// vCPU threads access the registers; transfers run on the event loop.
// Unchecked: `PCIFunction` is; the state here is constant, or in `Guarded` or `LoopBound`.
package final class IDEController: PCIFunction, Device, @unchecked Sendable {
  package struct Options: Sendable {
    /// Lets KVM hold writes to the task file, BMIS and the PRD pointer. They are applied at the next access that exits,
    /// such as the command, and before the end of a command, which sets bits that a write to BMIS clears.
    package var coalescesTaskFile = true
    package init() {}
  }

  private struct State {
    var channels: [IDEChannel]
    /// INTRQ of each channel.
    var lines: [any InterruptLine] = []
    var isDetached = false
  }

  let memory: GuestMemory
  let loop: EventLoop
  let options: Options
  let ports = Guarded(.fixedPorts, IDEPorts())
  private let state: Guarded<State>
  /// Wakes the loop, which runs the queued commands of the channels.
  private let doorbell: EventDescriptor
  /// For each channel: writes to BMIC that do not exit, because they only stop the engine or set the direction.
  private let quietCommands: [QuietCommands]
  private let watch = Guarded<EventLoop.WatchKey?>(.leaf, nil)
  /// The PRD table's size compared with its command, for each running request; the index is the request's tag.
  let tables: LoopBound<[PRDTableSize]>

  /// - Throws: `Failure` when the host has no file descriptors left.
  package init(name: String, memory: GuestMemory, loop: EventLoop, counters: Counters, options: Options = .init())
    throws(Failure)
  {
    self.memory = memory
    self.loop = loop
    self.options = options
    state = Guarded(.device, State(channels: (0..<2).map { IDEChannel(number: $0, counters: counters) }))
    tables = LoopBound(loop, Array(repeating: .equal, count: 4))
    doorbell = try EventDescriptor()
    quietCommands = [try QuietCommands(channel: 0), try QuietCommands(channel: 1)]
    var identity = PCIIdentity(vendor: 0x8086, device: 0x7010, baseClass: 0x01, subclass: 0x01)
    // Both channels in compatibility mode, and a bus master.
    identity.programmingInterface = 0x80
    let held = [2, 10].map { Acceleration.coalesced(offset: $0, size: 1) }
    let pointers = [4, 12].map { Acceleration.coalesced(offset: $0, size: 4) }
    let bar = PCIBaseAddress(
      kind: .port, size: UInt32(BusMasterIDERegister.size),
      accelerations: (options.coalescesTaskFile ? held + pointers : []) + quietCommands.flatMap(\.accelerations))
    super.init(name: name, identity: identity, bars: [nil, nil, nil, nil, bar])
    // Medium DEVSEL and fast back-to-back, as PCISTS in the datasheet.
    setConfiguration(PCIRegister.status, 0x80)
    setConfiguration(PCIRegister.status + 1, 0x02)
    // Firmware enables the decoding of both channels' ports.
    for timing in [PIIX3IDERegister.primaryTiming, PIIX3IDERegister.secondaryTiming] {
      setConfiguration(timing, 0x00, writable: 0xFF)
      setConfiguration(timing + 1, UInt8(PIIX3IDERegister.decodeEnable >> 8), writable: 0xF3)
    }
    setConfiguration(PIIX3IDERegister.slaveTiming, 0x00, writable: 0xFF)
    let key = try loop.watch(doorbell) { self.serve() }
    watch.withLock { $0 = key }
  }

  package override func roomWasFreed() { updatePorts() }

  // MARK: Assembly of a machine

  /// Attaches a disk to `channel` 0 or 1 as `drive` 0 (master) or 1. To be called before the guest runs.
  ///
  /// - Parameters:
  ///   - model: at most 40 ASCII characters, for IDENTIFY DEVICE.
  ///   - serial: at most 20 ASCII characters.
  package func attachDrive(_ storage: any Storage, channel: Int, drive: Int, model: String, serial: String) {
    let medium = ATAMedium(storage)
    medium.request.client = self
    medium.request.tag = channel << 1 | drive
    state.withLock { $0.channels[channel].drives[drive] = ATADrive(medium, model: model, serial: serial) }
  }

  /// Connects INTRQ of both channels.
  func connect(_ lines: [any InterruptLine]) { state.withLock { $0.lines = lines } }

  /// Only a vCPU starts a command, so it is enough to wait for those that were started.
  package func pause() -> Bool { state.withLock { !$0.channels.contains(where: \.isBusyByItself) } }

  /// Disconnects the function from its bus and its loop. Requests that the storage still has keep the controller alive
  /// until they end, without a visible effect.
  package func detach() {
    let key = watch.withLock { key in
      defer { key = nil }
      return key
    }
    if let key { loop.remove(key) }
    writeConfiguration(PCIRegister.command, 0, width: 2)
    state.withLock { state in
      state.isDetached = true
      for line in state.lines { line.set(asserted: false) }
      state.lines = []
      for index in state.channels.indices {
        state.channels[index].abandon()
        if !state.channels[index].isStorageBusy { state.channels[index].forgetClients() }
      }
    }
    ports.withLock { $0 = IDEPorts() }
  }

  // MARK: Access to a channel

  /// Runs `body` on a channel with the lock held, and applies the effects. Callable on any thread.
  ///
  /// Drives INTRQ before it releases the lock, so that two threads cannot swap its levels. Rings the doorbell after it
  /// releases the lock.
  ///
  /// - Parameter looksAtEngine: `body` depends on writes to BMIC, so apply those that did not exit first.
  @inline(__always)
  func access<Value: Sendable>(
    _ number: Int, looksAtEngine: Bool = false, _ body: (inout IDEChannel) -> Value
  ) -> Value {
    let (value, ringsDoorbell) = state.withLock { state in
      // A stop may end the command of a busy drive, and `body` may then write the registers.
      let asksForCommands = looksAtEngine || state.channels[number].isBusy
      let command = asksForCommands ? quietCommands[number].take() : nil
      let (value, effects) = state.channels[number].access { channel in
        if let command { channel.writeEngine(BusMasterIDERegister.command, command) }
        return body(&channel)
      }
      if let level = effects.interrupt, number < state.lines.count { state.lines[number].set(asserted: level) }
      // After `detach` nothing else releases the controller.
      if state.isDetached, !state.channels[number].isStorageBusy { state.channels[number].forgetClients() }
      return (value, effects.ringsDoorbell)
    }
    if ringsDoorbell { doorbell.signal() }
    return value
  }

  private var isStorageBusy: Bool { state.withLock { $0.channels.contains(where: \.isStorageBusy) } }

  // MARK: Accesses from the bus, and hooks of PCIFunction

  package override func read(_ access: BusAccess) -> UInt64 { readElement(access) }
  package override func write(_ access: BusAccess, _ value: UInt64) { writeElement(access, value) }

  /// Serves `rep ins` at the data register with one copy.
  package override func readBlock(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer) {
    guard let channel = dataChannel(access) else { return super.readBlock(access, into: buffer) }
    self.access(channel) { $0.readData(into: buffer) }
  }

  package override func writeBlock(_ access: BusAccess, from buffer: UnsafeRawBufferPointer) {
    guard let channel = dataChannel(access) else { return super.writeBlock(access, from: buffer) }
    self.access(channel) { $0.writeData(from: buffer) }
  }

  package override func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    Self.registerName(access, isWrite: isWrite)
  }

  package override func configurationWritten(_ offset: Int) {
    switch offset {
    case PCIRegister.command:
      for number in 0..<2 { access(number) { $0.setBusMaster(isBusMaster) } }
      if !isBusMaster { letRequestsEnd(on: loop) { !isStorageBusy } }
      updatePorts()
    case PIIX3IDERegister.primaryTiming + 1, PIIX3IDERegister.secondaryTiming + 1: updatePorts()
    default: break
    }
  }
}
