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
/// Ports: 1F0-1F7, 3F6, 170-177 and 376 while the guest has them decoded, and the bus master's 16 in BAR 4. Registers are
/// served on vCPU threads; transfers run on the event loop.
package final class IDEController: PCIFunction, Device, @unchecked Sendable {
  package struct Options: Sendable {
    /// Lets KVM hold back writes to the task file, BMIS and the PRD pointer until the next access that exits, such as
    /// the command, or the end of a command, which sets what a write to BMIS clears.
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
  /// Wakes the loop, which runs the commands that the channels have queued.
  private let doorbell: EventDescriptor
  /// Writes to BMIC that only stop, or choose the direction, without an exit; by channel.
  private let quietCommands: [QuietCommands]
  private let watch = Guarded<EventLoop.WatchKey?>(.leaf, nil)
  /// How the PRD table of each running request compares with its command, by the request's tag.
  let tables: LoopBound<[PRDTableSize]>

  /// - Throws: `Failure` when the host has no descriptors left.
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

  package override func roomWasFreed() { updatePorts() }

  // MARK: Putting a machine together

  /// Puts a disk on a cable: `channel` 0 or 1, `drive` 0 (master) or 1. For before the guest runs.
  ///
  /// - Parameters:
  ///   - model: at most 40 ASCII characters, as IDENTIFY DEVICE shows it.
  ///   - serial: at most 20 ASCII characters.
  package func attachDrive(_ storage: any Storage, channel: Int, drive: Int, model: String, serial: String) {
    let medium = ATAMedium(storage)
    medium.request.client = self
    medium.request.tag = channel << 1 | drive
    state.withLock { $0.channels[channel].drives[drive] = ATADrive(medium, model: model, serial: serial) }
  }

  /// Connects INTRQ of both channels.
  func connect(_ lines: [any InterruptLine]) { state.withLock { $0.lines = lines } }

  /// Takes the function off its bus and its loop. Requests that the storage still has end unseen, and until then keep
  /// the controller.
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

  // MARK: The one way to a channel

  /// Changes a channel by `body` and applies the effects. On any thread.
  ///
  /// INTRQ is driven before the lock is released, so that two threads cannot swap its levels; the doorbell rings after.
  ///
  /// - Parameter looksAtEngine: `body` needs to know what the guest wrote to BMIC without an exit.
  @inline(__always)
  func access<Value: Sendable>(
    _ number: Int, looksAtEngine: Bool = false, _ body: (inout IDEChannel) -> Value
  ) -> Value {
    let (value, ringsDoorbell) = state.withLock { state in
      // A stop frees the registers that a busy drive owns.
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

  // MARK: Where accesses and PCI's hooks arrive

  package override func read(_ access: BusAccess) -> UInt64 { readElement(access) }
  package override func write(_ access: BusAccess, _ value: UInt64) { writeElement(access, value) }

  /// `rep ins` at the data register is one copy.
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
