import Registers

/// Execution of commands (ATA/ATAPI-6, clause 8).
extension IDEChannel {
  mutating func execute(_ code: UInt8) {
    // Writing the command register lowers INTRQ (ATA/ATAPI-6, 5.2.9).
    setInterrupt(false, of: selected)
    if code == ATACommand.executeDeviceDiagnostic.rawValue { return diagnose() }
    let number = selected
    guard let drive = drives[number], drive.power != .sleep else { return }
    counters.add(.doorbells)
    abandon()
    drives[number]?.error = 0
    guard let command = ATACommand(rawValue: code) else { return abort(number) }
    let short = drive.taskFile.shortAddressing
    switch command {
    case .readSectors, .readSectorsNoRetry: startPIO(.pioIn, short, block: 1)
    case .readSectorsExt: startPIO(.pioIn, .lba48, block: 1)
    case .readMultiple: startPIO(.pioIn, short, block: drive.multiple)
    case .readMultipleExt: startPIO(.pioIn, .lba48, block: drive.multiple)
    case .writeSectors, .writeSectorsNoRetry: startPIO(.pioOut, short, block: 1)
    case .writeSectorsExt: startPIO(.pioOut, .lba48, block: 1)
    case .writeMultiple: startPIO(.pioOut, short, block: drive.multiple)
    case .writeMultipleExt: startPIO(.pioOut, .lba48, block: drive.multiple)
    case .readDMA, .readDMANoRetry: startDMA(.dmaIn, short)
    case .readDMAExt: startDMA(.dmaIn, .lba48)
    case .writeDMA, .writeDMANoRetry: startDMA(.dmaOut, short)
    case .writeDMAExt: startDMA(.dmaOut, .lba48)
    case .readVerifySectors, .readVerifySectorsNoRetry: verify(short)
    case .readVerifySectorsExt: verify(.lba48)
    case .seek: seek(drive)
    case .flushCache, .flushCacheExt: queue(ATATransfer(kind: .flush, drive: number))
    case .identifyDevice: identify(drive)
    case .setFeatures: setFeatures(drive.taskFile)
    case .setMultipleMode: setMultiple(drive.taskFile)
    case .initializeDeviceParameters: setGeometry(drive)
    case .recalibrate: finish(number)
    case .checkPowerMode:
      drives[number]?.taskFile.sectorCount.current = drive.power.rawValue
      finish(number)
    case .standby, .standbyImmediate: enter(.standby)
    case .idle, .idleImmediate: enter(.idle)
    case .sleep: enter(.sleep)
    // NOP always aborts by definition. A driver tries the packet commands to find out whether this is a CD-ROM.
    case .nop, .deviceReset, .packet, .identifyPacketDevice: abort(number)
    case .executeDeviceDiagnostic: diagnose()
    }
  }

  private mutating func abort(_ drive: Int) {
    counters.add(.badRequest)
    finish(drive, error: ATAError.abort)
  }

  private mutating func enter(_ power: ATADrive.Power) {
    drives[selected]?.power = power
    finish(selected)
  }

  /// EXECUTE DEVICE DIAGNOSTIC: both drives perform it, whichever is selected (ATA/ATAPI-6, 8.11).
  private mutating func diagnose() {
    guard let first = drives.firstIndex(where: { $0 != nil }) else { return }
    counters.add(.doorbells)
    abandon()
    showDiagnosis()
    setInterrupt(true, of: first)
  }

  // MARK: Transfers

  /// Makes a transfer of the sectors that the selected drive's registers address. If no sector can be moved, ends the
  /// command with an error and returns nil.
  ///
  /// A read that starts on the disk moves the sectors that exist and fails at the first missing one. A write past the
  /// end of the disk changes nothing.
  private mutating func makeTransfer(_ kind: ATATransfer.Kind, _ addressing: ATAAddressing) -> ATATransfer? {
    guard let drive = drives[selected] else { return nil }
    let sectors = drive.taskFile.sectors(addressing)
    guard let lba = drive.taskFile.address(addressing, drive.geometry) else {
      counters.add(.badRequest)
      finish(selected, error: ATAError.idNotFound)
      return nil
    }
    let available = drive.available(lba, sectors)
    let isRead = kind == .pioIn || kind == .dmaIn
    var transfer = ATATransfer(kind: kind, drive: selected, lba: lba, sectors: available, addressing: addressing)
    transfer.missing = sectors - available
    if transfer.missing > 0 { counters.add(.badRequest) }
    guard transfer.missing == 0 || isRead && available > 0 else {
      failAtMissing(transfer)
      return nil
    }
    drives[selected]?.power = .active
    return transfer
  }

  /// Ends a command at the first sector that the disk does not have.
  mutating func failAtMissing(_ transfer: ATATransfer) {
    var transfer = transfer
    transfer.lba &+= UInt64(transfer.sectors)
    transfer.sectors = 0
    fail(transfer, error: ATAError.idNotFound)
  }

  private mutating func startDMA(_ kind: ATATransfer.Kind, _ addressing: ATAAddressing) {
    guard let transfer = makeTransfer(kind, addressing) else { return }
    command = .active(transfer, .engine)
    drives[transfer.drive]?.status = ATADrive.dataStatus
    startEngineIfReady()
  }

  private mutating func startPIO(_ kind: ATATransfer.Kind, _ addressing: ATAAddressing, block: Int) {
    // READ and WRITE MULTIPLE abort before SET MULTIPLE MODE.
    guard block > 0 else { return abort(selected) }
    guard var transfer = makeTransfer(kind, addressing) else { return }
    transfer.block = block
    // There is no interrupt before the first block of a write (ATA/ATAPI-6, 9.6).
    if kind == .pioOut { presentWriteBlock(transfer) } else { queue(transfer) }
  }

  private mutating func verify(_ addressing: ATAAddressing) {
    // Does not read the host's file. The guest gets the error of a bad sector when it reads the sector.
    guard let transfer = makeTransfer(.pioIn, addressing) else { return }
    if transfer.missing > 0 { failAtMissing(transfer) } else { finish(transfer.drive) }
  }

  private mutating func seek(_ drive: ATADrive) {
    let taskFile = drive.taskFile
    let lba = taskFile.address(taskFile.shortAddressing, drive.geometry)
    let isOnDisk = lba.map { drive.available($0, 1) == 1 } ?? false
    finish(selected, error: isOnDisk ? 0 : ATAError.idNotFound)
  }

  // MARK: Identity and settings

  /// Writes the data of IDENTIFY DEVICE to the sector buffer.
  private mutating func identify(_ drive: ATADrive) {
    let identity = ATAIdentity(
      model: drive.model, serial: drive.serial, sectorCount: drive.medium.storage.sectorCount,
      defaultGeometry: drive.defaultGeometry, currentGeometry: drive.geometry, multiple: drive.multiple,
      transferMode: drive.transferMode, isWriteCacheEnabled: drive.isWriteCacheEnabled,
      isLookAheadEnabled: drive.isLookAheadEnabled, isDrive1: selected == 1, isAlone: drives[1] == nil)
    identity.write(to: drive.medium.buffer)
    drives[selected]?.cursor = 0
    drives[selected]?.filled = 512
    presentReadBlock(ATATransfer(kind: .pioIn, drive: selected, sectors: 1))
  }

  private mutating func setFeatures(_ taskFile: ATATaskFile) {
    switch taskFile.features.current {
    case ATAFeature.enableWriteCache: drives[selected]?.isWriteCacheEnabled = true
    case ATAFeature.disableWriteCache:
      drives[selected]?.isWriteCacheEnabled = false
      // The cache must be flushed first (ATA/ATAPI-6, 8.46).
      return queue(ATATransfer(kind: .flush, drive: selected))
    case ATAFeature.setTransferMode:
      guard drives[selected]?.setTransferMode(taskFile.sectorCount.current) == true else { return abort(selected) }
    case ATAFeature.enableReadLookAhead: drives[selected]?.isLookAheadEnabled = true
    case ATAFeature.disableReadLookAhead: drives[selected]?.isLookAheadEnabled = false
    case ATAFeature.disableRevertToDefaults: drives[selected]?.keepsSettings = true
    case ATAFeature.enableRevertToDefaults: drives[selected]?.keepsSettings = false
    default: return abort(selected)
    }
    finish(selected)
  }

  private mutating func setMultiple(_ taskFile: ATATaskFile) {
    let count = Int(taskFile.sectorCount.current)
    guard count <= ATAIdentity.maximumMultiple, count & (count - 1) == 0 || count == 0 else { return abort(selected) }
    drives[selected]?.multiple = count
    finish(selected)
  }

  private mutating func setGeometry(_ drive: ATADrive) {
    let sectors = UInt32(drive.taskFile.sectorCount.current)
    guard sectors > 0 else { return abort(selected) }
    let heads = UInt32(drive.taskFile.device & ATADevice.headMask) + 1
    let geometry = ATAGeometry(
      heads: heads, sectorsPerTrack: sectors, sectorCount: drive.medium.storage.sectorCount)
    // If a cylinder were larger than the disk, some CHS addresses would have no sector.
    guard geometry.cylinders > 0 else { return abort(selected) }
    drives[selected]?.geometry = geometry
    finish(selected)
  }
}
