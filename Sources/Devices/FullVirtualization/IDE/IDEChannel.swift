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
  /// Sectors behind those that the disk does not have: the command ends with an error once it has moved the others.
  var missing = 0
  /// Sectors of one DRQ block.
  var block = 1
  /// Sectors that one storage request may read ahead.
  var readAhead = ATADrive.bufferSize / 512
  var addressing = ATAAddressing.lba28

  var isDMA: Bool { kind == .dmaIn || kind == .dmaOut }
}

/// One cable: up to two drives, which of them is selected, INTRQ and the bus master. Guarded by the controller's lock.
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
    /// The guest gave the command up and the storage still has it. BSY stays set until the request has ended, so a guest
    /// that sees an idle drive may use the memory for something else.
    case abandoned
  }

  let number: Int
  let counters: Counters
  /// Device Control (ATA/ATAPI-6, 7.8), which both drives obey.
  private(set) var control: UInt8 = 0
  /// The DEV bit, as last written to the device register.
  private(set) var selectsDrive1 = false
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
  /// SRST was cleared while the storage still had a request: the drives reset once that has ended.
  private var owesReset = false
  private var lineLevel = false

  init(number: Int, counters: Counters) {
    self.number = number
    self.counters = counters
  }

  private var isReset: Bool { control & ATADeviceControl.softwareReset != 0 }
  var selected: ATADrive? { selectsDrive1 ? drive1 : drive0 }
  var isBusy: Bool { isStorageBusy || phase == .queued || isReset }
  /// The storage has a request of this channel.
  var isStorageBusy: Bool { phase == .running || phase == .abandoned }

  /// Lets go of the controller, which is the client of both drives' requests.
  func forgetClients() {
    drive0?.request.client = nil
    drive1?.request.client = nil
  }

  // MARK: INTRQ

  func setInterrupt(_ pending: Bool, of drive: ATADrive?) {
    drive?.interruptPending = pending
    updateLine()
  }

  /// INTRQ is driven while the selected drive's interrupt is pending and nIEN is clear (ATA/ATAPI-6, 5.2.9); its rising
  /// edge sets BMIS bit 2.
  func updateLine() {
    let level = selected?.interruptPending == true && control & ATADeviceControl.interruptDisable == 0
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
      setInterrupt(false, of: selected)
      return value
    case ATARegister.error:
      return responder == nil ? emptyCable : selected?.error ?? responder?.error ?? 0
    default:
      let isHigh = control & ATADeviceControl.highOrderByte != 0
      return responder?.taskFile.read(register, highOrderByte: isHigh) ?? emptyCable
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
    // Any write to the command block clears HOB (ATA/ATAPI-6, 7.8).
    control &= ~ATADeviceControl.highOrderByte
    guard register != ATARegister.command else { return execute(value) }
    drive0?.taskFile.write(register, value)
    drive1?.taskFile.write(register, value)
    guard register == ATARegister.device else { return }
    selectsDrive1 = value & ATADevice.drive1 != 0
    updateLine()
  }

  func writeControl(_ value: UInt8) {
    let wasReset = isReset
    control =
      value
      & (ATADeviceControl.interruptDisable | ATADeviceControl.softwareReset | ATADeviceControl.highOrderByte)
    if isReset, !wasReset {
      abandon()
      for drive in [drive0, drive1] {
        drive?.interruptPending = false
        drive?.status = ATAStatus.busy
      }
    } else if wasReset, !isReset {
      if phase == .abandoned { owesReset = true } else { resetDrives() }
    }
    updateLine()
  }

  /// The end of a reset: signature, diagnostic code, drive 0 selected.
  private func resetDrives() {
    drive0?.reset()
    drive1?.reset()
    selectsDrive1 = false
  }

  /// The end of a diagnostic (ATA/ATAPI-6, 8.11): signature and code of both drives, drive 0 selected.
  func showDiagnosis() {
    for drive in [drive0, drive1] {
      drive?.status = ATADrive.idleStatus
      drive?.error = ATAError.diagnosticPassed
      drive?.taskFile.setSignature()
    }
    selectsDrive1 = false
  }

  // MARK: The bus master

  func writeEngine(_ offset: UInt16, _ value: UInt8) {
    switch engine.write(offset, value) {
    case .none: break
    case .started: startEngineIfReady()
    case .stopped:
      // The transfer is given up; the drive ends its command without an interrupt.
      if let transfer, transfer.isDMA, phase == .queued || phase == .running { abandon() }
      engine.isStopping = phase == .abandoned
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

  /// Gives up the command in progress: at once, or when the storage has ended the request.
  func abandon() {
    transfer = nil
    if isStorageBusy {
      phase = .abandoned
    } else {
      activeDrive?.status = ATADrive.idleStatus
      phase = .idle
      activeDrive = nil
    }
  }

  /// The storage has ended the request of a command that was given up.
  func abandonedRequestEnded() {
    let drive = activeDrive
    phase = .idle
    activeDrive = nil
    engine.isStopping = false
    if owesReset {
      owesReset = false
      if !isReset { resetDrives() }
    } else if !isReset {
      drive?.status = ATADrive.idleStatus
    }
  }

  /// Ends the command: `error` 0 for success.
  func finish(error: UInt8 = 0, status: UInt8 = 0, interrupts: Bool = true) {
    let drive = activeDrive
    if error != 0, let transfer, let drive, transfer.kind != .flush {
      drive.taskFile.setAddress(
        transfer.lba, left: transfer.sectors + transfer.missing, transfer.addressing, drive.geometry)
    }
    phase = .idle
    transfer = nil
    activeDrive = nil
    drive?.error = error
    drive?.status = ATADrive.idleStatus | status | (error != 0 ? ATAStatus.error : 0)
    if interrupts { setInterrupt(true, of: drive) }
  }
}
