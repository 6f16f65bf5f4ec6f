import Backends
import Bus
import Counters
import Registers

/// What a command moves between host, drive and storage.
struct ATATransfer {
  enum Kind { case pioIn, pioOut, dmaIn, dmaOut, flush }
  var kind: Kind
  var lba: UInt64 = 0
  /// Sectors that are left.
  var sectors = 0
  /// Sectors of one DRQ block.
  var block = 1
  /// Sectors that one storage request may read ahead.
  var readAhead = ATADrive.bufferSize / 512
  var addressing = ATAAddressing.lba28
  /// The data is IDENTIFY DEVICE's answer, not the disk's.
  var isIdentify = false
  /// A write whose first block waits until the storage has let go of the sector buffer.
  var awaitsBuffer = false

  var isDMA: Bool { kind == .dmaIn || kind == .dmaOut }
}

/// One cable: the task file, up to two drives, INTRQ and the bus master that serves them. Guarded by the controller's
/// lock.
final class IDEChannel: @unchecked Sendable {
  /// Where the command in progress stands.
  enum Phase {
    /// None is in progress.
    case idle
    /// A DRQ block waits for the host at the data register.
    case data
    /// A DMA command waits for the bus master to be started.
    case waitingForEngine
    /// The loop has something to do.
    case queued
    /// The storage has it.
    case running
  }

  let number: Int
  let counters: Counters
  var taskFile = ATATaskFile()
  var engine = BusMasterEngine()
  var drive0: ATADrive?
  var drive1: ATADrive?
  var line: (any InterruptLine)?

  var phase = Phase.idle
  var transfer: ATATransfer?
  /// The drive that `transfer` is for.
  var activeDrive: ATADrive?
  /// The controller may reach memory (PCI command bit 2).
  var isBusMaster = false
  /// Set when the loop has to look at this channel.
  var needsLoop = false
  private var interruptPending = false
  private var lineLevel = false

  init(number: Int, counters: Counters) {
    self.number = number
    self.counters = counters
  }

  var selected: ATADrive? { taskFile.selectsDrive1 ? drive1 : drive0 }
  var isBusy: Bool { phase == .queued || phase == .running || taskFile.isReset }

  // MARK: INTRQ

  func setInterrupt(_ pending: Bool) {
    interruptPending = pending
    updateLine()
  }

  /// INTRQ is driven while an interrupt is pending and nIEN is clear; its rising edge sets BMIS bit 2.
  func updateLine() {
    let level = interruptPending && !taskFile.interruptsDisabled
    guard level != lineLevel else { return }
    lineLevel = level
    if level {
      engine.hasInterrupt = true
      counters.add(.interrupts)
    }
    line?.set(asserted: level)
  }

  // MARK: Command and control block

  func readCommandBlock(_ register: UInt16) -> UInt8 {
    switch register {
    case ATARegister.status:
      let value = status
      if value != 0 { setInterrupt(false) }
      return value
    case ATARegister.error:
      return responder == nil ? emptyCable : selected?.error ?? responder?.error ?? 0
    default: return responder == nil ? emptyCable : taskFile.read(register)
    }
  }

  /// What the status registers show. A lone drive 0 answers for drive 1 with 0 (ATA/ATAPI-6, 9.16.1).
  var status: UInt8 {
    guard responder != nil else { return emptyCable }
    guard let selected else { return 0 }
    return selected.status
  }

  /// Who drives the cable for the selected drive; nil for nobody: a lone drive 1 does not answer for drive 0.
  private var responder: ATADrive? { selected ?? drive0 }

  /// Nobody drives the cable, and the host's resistor pulls DD7 down as ATA/ATAPI-6 wants it: "not busy" at once for a
  /// driver that probes. At 0xFF Linux would wait 0.8 s for a slow drive.
  private var emptyCable: UInt8 { 0x7F }

  func writeCommandBlock(_ register: UInt16, _ value: UInt8) {
    // While BSY is set the drive owns the registers (ATA/ATAPI-6, 7.15.6.1).
    guard !isBusy else { return }
    guard register == ATARegister.command else { return taskFile.write(register, value) }
    taskFile.control &= ~ATADeviceControl.highOrderByte
    execute(value)
  }

  func writeControl(_ value: UInt8) {
    let wasReset = taskFile.isReset
    taskFile.control =
      value
      & (ATADeviceControl.interruptDisable | ATADeviceControl.softwareReset | ATADeviceControl.highOrderByte)
    if taskFile.isReset, !wasReset {
      abandon()
      setInterrupt(false)
      drive0?.status = ATAStatus.busy
      drive1?.status = ATAStatus.busy
    } else if wasReset, !taskFile.isReset {
      resetDrives()
    }
    updateLine()
  }

  /// The end of a reset or diagnostic: signature, diagnostic code, drive 0 selected.
  func resetDrives() {
    drive0?.reset()
    drive1?.reset()
    taskFile.setSignature()
  }

  // MARK: The bus master

  func writeEngine(_ offset: UInt16, _ value: UInt8) {
    switch engine.write(offset, value) {
    case .none: break
    case .started: startEngineIfReady()
    case .stopped:
      guard let transfer, transfer.isDMA, phase == .queued || phase == .running else { break }
      // The transfer is given up; the drive ends its command without an interrupt.
      let drive = activeDrive
      abandon()
      drive?.status = ATADrive.idleStatus
    }
  }

  /// Hands a DMA command over once both the drive and the bus master are ready.
  func startEngineIfReady() {
    guard phase == .waitingForEngine, engine.canStart, isBusMaster else { return }
    activeDrive?.status = ATADrive.idleStatus | ATAStatus.busy
    queue()
  }

  // MARK: How a command goes on

  func queue() {
    phase = .queued
    needsLoop = true
  }

  /// Forgets the command in progress; what the storage still does for it is ignored.
  ///
  /// A drive has one request and starts no other before that has ended, so an end is wanted just when the drive's
  /// command is `running`.
  func abandon() {
    phase = .idle
    transfer = nil
    activeDrive = nil
  }

  /// Ends the command: `error` 0 for success.
  func finish(error: UInt8 = 0, status: UInt8 = 0, interrupts: Bool = true) {
    let drive = activeDrive
    if error != 0, let transfer, let drive, transfer.kind != .flush {
      taskFile.setAddress(transfer.lba, left: transfer.sectors, transfer.addressing, drive.geometry)
    }
    phase = .idle
    transfer = nil
    activeDrive = nil
    drive?.error = error
    drive?.status = ATADrive.idleStatus | status | (error != 0 ? ATAStatus.error : 0)
    if interrupts { setInterrupt(true) }
  }
}
