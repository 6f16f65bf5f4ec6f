import Backends
import Counters
import Registers

/// The data transfer of a command between host, drive and storage.
struct ATATransfer {
  enum Kind { case pioIn, pioOut, dmaIn, dmaOut, flush }
  var kind: Kind
  /// 0 or 1, the drive that runs the command.
  var drive: Int
  var lba: UInt64 = 0
  /// Number of sectors left to move.
  var sectors = 0
  /// Number of sectors after these that the disk does not have. The command ends with an error after the others.
  var missing = 0
  /// Sectors in one DRQ block.
  var block = 1
  /// Maximum number of sectors in one storage request of a PIO read.
  var readAhead = ATAMedium.bufferSize / 512
  var addressing = ATAAddressing.lba28

  var isDMA: Bool { kind == .dmaIn || kind == .dmaOut }
}

/// Effects of an access or of the end of a transfer, which the controller applies.
struct IDEEffects: Equatable {
  /// Wakes the loop, which has a command to run.
  var ringsDoorbell = false
  /// The new level of INTRQ; nil if it does not change.
  var interrupt: Bool?
}

/// One channel: up to two drives, the selected drive, the command in progress, INTRQ and the bus master engine.
///
/// A value: each access changes it and returns effects, which the controller applies. It calls neither the loop nor the
/// storage.
struct IDEChannel {
  /// The command in progress.
  enum Command {
    case none
    case active(ATATransfer, Stage)
    /// The guest aborted the command, but the storage still has the request. BSY stays set until the request has ended,
    /// so a guest that sees an idle drive may reuse the memory.
    case abandoned(drive: Int)
  }

  /// The stage of an active command.
  enum Stage {
    /// Waits for the host to access the DRQ block through the data register.
    case data
    /// Waits for the host to start the bus master engine.
    case engine
    /// Waits for the loop.
    case queued
    /// Waits for the storage.
    case running
  }

  let number: Int
  let counters: Counters
  /// Device Control (ATA/ATAPI-6, 7.8). It applies to both drives.
  private(set) var control: UInt8 = 0
  /// The selected drive: the DEV bit of the device register. A reset or a diagnostic selects drive 0.
  private(set) var selected = 0
  var drives: [ATADrive?] = [nil, nil]
  var engine = BusMasterEngine()
  var command = Command.none
  /// SRST was cleared while the storage still had a request. The drives reset when the request has ended.
  private var owesReset = false
  private var lineLevel = false
  /// PCI command bit 2: the controller may do DMA.
  private(set) var isBusMaster = false
  private var effects = IDEEffects()

  init(number: Int, counters: Counters) {
    self.number = number
    self.counters = counters
  }

  /// Runs `body` on the channel, and returns its result and its effects. The controller uses only this.
  @inline(__always)
  mutating func access<Value>(_ body: (inout IDEChannel) -> Value) -> (Value, IDEEffects) {
    let value = body(&self)
    defer { effects = IDEEffects() }
    return (value, effects)
  }

  private var isReset: Bool { control & ATADeviceControl.softwareReset != 0 }

  /// BSY: the drives own the registers.
  var isBusy: Bool {
    switch command {
    case .active(_, .queued), .active(_, .running), .abandoned: true
    default: isReset
    }
  }

  /// The storage has a request of this channel.
  var isStorageBusy: Bool {
    switch command {
    case .active(_, .running), .abandoned: true
    default: false
    }
  }

  /// A command runs, or will run without a further access of the guest.
  var isBusyByItself: Bool { if case .active(_, .queued) = command { true } else { isStorageBusy } }

  /// Releases the controller, which is the client of both drives' requests.
  func forgetClients() { for drive in drives { drive?.medium.request.client = nil } }

  // MARK: INTRQ

  mutating func setInterrupt(_ pending: Bool, of drive: Int) {
    drives[drive]?.interruptPending = pending
    updateLine()
  }

  /// Drives INTRQ while the selected drive's interrupt is pending and nIEN is clear (ATA/ATAPI-6, 5.2.9). A rising edge
  /// sets BMIS bit 2.
  private mutating func updateLine() {
    let isPending = drives[selected]?.interruptPending == true
    let level = isPending && control & ATADeviceControl.interruptDisable == 0
    guard level != lineLevel else { return }
    lineLevel = level
    if level {
      engine.hasInterrupt = true
      counters.add(.interrupts)
    }
    effects.interrupt = level
  }

  // MARK: Command and control block

  mutating func readCommandBlock(_ register: UInt16) -> UInt8 {
    switch register {
    case ATARegister.status:
      let value = status
      setInterrupt(false, of: selected)
      return value
    case ATARegister.error: return responder?.error ?? Self.emptyCable
    default:
      let isHigh = control & ATADeviceControl.highOrderByte != 0
      return responder?.taskFile.read(register, highOrderByte: isHigh) ?? Self.emptyCable
    }
  }

  /// The value of both status registers. A lone drive 0 answers for drive 1 with 0 (ATA/ATAPI-6, 9.16.1).
  var status: UInt8 {
    guard responder != nil else { return Self.emptyCable }
    return drives[selected]?.status ?? 0
  }

  /// The drive that answers for the selected one; nil if none does. A lone drive 1 does not answer for drive 0.
  private var responder: ATADrive? { drives[selected] ?? drives[0] }

  /// The byte that the host reads when no drive drives the cable. ATA/ATAPI-6 requires a resistor that pulls DD7 down,
  /// so that a driver's probe reads "not busy" at once. With 0xFF, Linux would wait 0.8 s for a slow drive.
  private static let emptyCable: UInt8 = 0x7F

  mutating func writeCommandBlock(_ register: UInt16, _ value: UInt8) {
    // While BSY is set, the drive owns the registers (ATA/ATAPI-6, 7.15.6.1).
    guard !isBusy else { return }
    // Any write to the command block clears HOB (ATA/ATAPI-6, 7.8).
    control &= ~ATADeviceControl.highOrderByte
    guard register != ATARegister.command else { return execute(value) }
    for index in drives.indices { drives[index]?.taskFile.write(register, value) }
    guard register == ATARegister.device else { return }
    select(value & ATADevice.drive1 != 0 ? 1 : 0)
  }

  private mutating func select(_ drive: Int) {
    selected = drive
    updateLine()
  }

  mutating func writeControl(_ value: UInt8) {
    let wasReset = isReset
    control =
      value
      & (ATADeviceControl.interruptDisable | ATADeviceControl.softwareReset | ATADeviceControl.highOrderByte)
    if isReset, !wasReset {
      abandon()
      for index in drives.indices {
        drives[index]?.interruptPending = false
        drives[index]?.status = ATAStatus.busy
      }
    } else if wasReset, !isReset {
      if isStorageBusy { owesReset = true } else { resetDrives() }
    }
    updateLine()
  }

  /// Ends a reset: sets signature and diagnostic code of both drives, and selects drive 0.
  private mutating func resetDrives() {
    for index in drives.indices { drives[index]?.reset() }
    select(0)
  }

  /// Ends a diagnostic (ATA/ATAPI-6, 8.11): sets signature and code of both drives, and selects drive 0.
  mutating func showDiagnosis() {
    for index in drives.indices { drives[index]?.showDiagnosis() }
    select(0)
  }

  // MARK: Bus master engine

  /// Updates `isBusMaster`, and starts a DMA command that waited for it.
  mutating func setBusMaster(_ isOn: Bool) {
    isBusMaster = isOn
    startEngineIfReady()
  }

  mutating func writeEngine(_ offset: UInt16, _ value: UInt8) {
    switch engine.write(offset, value) {
    case .none: break
    case .started: startEngineIfReady()
    case .stopped:
      // Abort the transfer: the drive ends its command without an interrupt.
      switch command {
      case .active(let transfer, .queued) where transfer.isDMA: abandon()
      case .active(let transfer, .running) where transfer.isDMA: abandon()
      default: break
      }
      if case .abandoned = command { engine.isStopping = true } else { engine.isStopping = false }
    }
  }

  /// Queues a DMA command for the loop if both the drive and the engine are ready and bus mastering is on.
  mutating func startEngineIfReady() {
    guard case .active(let transfer, .engine) = command, engine.canStart, isBusMaster else { return }
    queue(transfer)
  }

  // MARK: Progress of a command

  mutating func queue(_ transfer: ATATransfer) {
    drives[transfer.drive]?.status = ATADrive.busyStatus
    command = .active(transfer, .queued)
    effects.ringsDoorbell = true
  }

  /// Aborts the command in progress: at once, or, if the storage has its request, when that has ended.
  mutating func abandon() {
    guard case .active(let transfer, let stage) = command else { return }
    guard stage != .running else {
      command = .abandoned(drive: transfer.drive)
      return
    }
    drives[transfer.drive]?.status = ATADrive.idleStatus
    command = .none
  }

  /// The storage has ended the request of an aborted command.
  mutating func abandonedRequestEnded() {
    guard case .abandoned(let drive) = command else { return }
    command = .none
    engine.isStopping = false
    if owesReset {
      owesReset = false
      if !isReset { resetDrives() }
    } else if !isReset {
      drives[drive]?.status = ATADrive.idleStatus
    }
  }

  /// Ends the command of `drive`. `error` is 0 for success.
  mutating func finish(_ drive: Int, error: UInt8 = 0, status: UInt8 = 0, interrupts: Bool = true) {
    command = .none
    drives[drive]?.error = error
    drives[drive]?.status = ATADrive.idleStatus | status | (error != 0 ? ATAStatus.error : 0)
    if interrupts { setInterrupt(true, of: drive) }
  }

  /// Ends a command with an error at the current sector of `transfer`.
  mutating func fail(_ transfer: ATATransfer, error: UInt8, status: UInt8 = 0) {
    if transfer.kind != .flush, let geometry = drives[transfer.drive]?.geometry {
      drives[transfer.drive]?.taskFile.setAddress(
        transfer.lba, left: transfer.sectors + transfer.missing, transfer.addressing, geometry)
    }
    finish(transfer.drive, error: error, status: status)
  }
}
