import Registers

/// What each command does when it is written (ATA/ATAPI-6, clause 8).
extension IDEChannel {
  func execute(_ code: UInt8) {
    // Writing the command register lowers INTRQ (ATA/ATAPI-6, 5.2.9).
    setInterrupt(false, of: selected)
    if code == ATACommand.executeDeviceDiagnostic.rawValue { return diagnose() }
    guard let drive = selected, drive.power != .sleep else { return }
    counters.add(.doorbells)
    abandon()
    activeDrive = drive
    drive.error = 0
    guard let command = ATACommand(rawValue: code) else { return abort() }
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
    case .seek: seek()
    case .flushCache, .flushCacheExt:
      transfer = ATATransfer(kind: .flush)
      drive.status = ATADrive.idleStatus | ATAStatus.busy
      queue()
    case .identifyDevice: identify(drive)
    case .setFeatures: setFeatures(drive)
    case .setMultipleMode: setMultiple(drive)
    case .initializeDeviceParameters: setGeometry(drive)
    case .recalibrate: finish()
    case .checkPowerMode:
      drive.taskFile.sectorCount.current = drive.power.rawValue
      finish()
    case .standby, .standbyImmediate: enter(.standby)
    case .idle, .idleImmediate: enter(.idle)
    case .sleep: enter(.sleep)
    // NOP always aborts, which is what it is for; the packet commands are how a driver tells a disk from a CD-ROM.
    case .nop, .deviceReset, .packet, .identifyPacketDevice: abort()
    case .executeDeviceDiagnostic: diagnose()
    }
  }

  private func abort() {
    counters.add(.badRequest)
    finish(error: ATAError.abort)
  }

  private func enter(_ power: ATADrive.Power) {
    activeDrive?.power = power
    finish()
  }

  /// Both drives answer, whichever is selected (ATA/ATAPI-6, 8.11).
  private func diagnose() {
    guard drive0 != nil || drive1 != nil else { return }
    counters.add(.doorbells)
    abandon()
    showDiagnosis()
    setInterrupt(true, of: drive0 ?? drive1)
  }

  // MARK: Transfers

  /// The sectors that the registers name, as a transfer; nil after ending the command because it can move none.
  ///
  /// A read that starts on the disk moves what is there and fails at the first missing sector. A write beyond the end
  /// changes nothing.
  private func makeTransfer(_ kind: ATATransfer.Kind, _ addressing: ATAAddressing) -> ATATransfer? {
    guard let drive = activeDrive else { return nil }
    let sectors = drive.taskFile.sectors(addressing)
    guard let lba = drive.taskFile.address(addressing, drive.geometry) else {
      counters.add(.badRequest)
      finish(error: ATAError.idNotFound)
      return nil
    }
    let available = drive.available(lba, sectors)
    let isRead = kind == .pioIn || kind == .dmaIn
    var transfer = ATATransfer(kind: kind, lba: lba, sectors: available, addressing: addressing)
    transfer.missing = sectors - available
    if transfer.missing > 0 { counters.add(.badRequest) }
    guard transfer.missing == 0 || isRead && available > 0 else {
      failAtMissing(transfer)
      return nil
    }
    drive.power = .active
    return transfer
  }

  /// Ends a command at the first sector that the disk does not have.
  func failAtMissing(_ transfer: ATATransfer) {
    self.transfer = transfer
    self.transfer?.lba &+= UInt64(transfer.sectors)
    self.transfer?.sectors = 0
    finish(error: ATAError.idNotFound)
  }

  private func startDMA(_ kind: ATATransfer.Kind, _ addressing: ATAAddressing) {
    guard let transfer = makeTransfer(kind, addressing) else { return }
    self.transfer = transfer
    phase = .waitingForEngine
    activeDrive?.status = ATADrive.idleStatus | ATAStatus.dataRequest
    startEngineIfReady()
  }

  private func startPIO(_ kind: ATATransfer.Kind, _ addressing: ATAAddressing, block: Int) {
    // READ and WRITE MULTIPLE need a SET MULTIPLE MODE before them.
    guard block > 0 else { return abort() }
    guard var transfer = makeTransfer(kind, addressing) else { return }
    transfer.block = block
    self.transfer = transfer
    if kind == .pioOut {
      // There is no interrupt before the first block (ATA/ATAPI-6, 9.6).
      presentWriteBlock()
    } else {
      queueRead()
    }
  }

  private func verify(_ addressing: ATAAddressing) {
    // The host's file is not read: what would fail there fails when it is.
    guard let transfer = makeTransfer(.pioIn, addressing) else { return }
    if transfer.missing > 0 { failAtMissing(transfer) } else { finish() }
  }

  private func seek() {
    guard let drive = activeDrive else { return }
    let taskFile = drive.taskFile
    guard let lba = taskFile.address(taskFile.shortAddressing, drive.geometry), drive.available(lba, 1) == 1 else {
      return finish(error: ATAError.idNotFound)
    }
    finish()
  }

  // MARK: What the drive is and how it is set

  /// Lays IDENTIFY DEVICE's answer in the sector buffer.
  private func identify(_ drive: ATADrive) {
    transfer = ATATransfer(kind: .pioIn, sectors: 1)
    let identity = ATAIdentity(
      model: drive.model, serial: drive.serial, sectorCount: drive.storage.sectorCount,
      defaultGeometry: drive.defaultGeometry, currentGeometry: drive.geometry, multiple: drive.multiple,
      transferMode: drive.transferMode, isWriteCacheEnabled: drive.isWriteCacheEnabled,
      isLookAheadEnabled: drive.isLookAheadEnabled, isDrive1: drive === drive1, isAlone: drive1 == nil)
    identity.write(to: drive.buffer)
    drive.cursor = 0
    drive.filled = 512
    presentReadBlock()
  }

  private func setFeatures(_ drive: ATADrive) {
    switch drive.taskFile.features.current {
    case ATAFeature.enableWriteCache: drive.isWriteCacheEnabled = true
    case ATAFeature.disableWriteCache:
      drive.isWriteCacheEnabled = false
      // What is in the cache has to reach the disk first (ATA/ATAPI-6, 8.46).
      transfer = ATATransfer(kind: .flush)
      drive.status = ATADrive.idleStatus | ATAStatus.busy
      return queue()
    case ATAFeature.setTransferMode:
      guard drive.setTransferMode(drive.taskFile.sectorCount.current) else { return abort() }
    case ATAFeature.enableReadLookAhead: drive.isLookAheadEnabled = true
    case ATAFeature.disableReadLookAhead: drive.isLookAheadEnabled = false
    case ATAFeature.disableRevertToDefaults: drive.keepsSettings = true
    case ATAFeature.enableRevertToDefaults: drive.keepsSettings = false
    default: return abort()
    }
    finish()
  }

  private func setMultiple(_ drive: ATADrive) {
    let count = Int(drive.taskFile.sectorCount.current)
    guard count <= ATAIdentity.maximumMultiple, count & (count - 1) == 0 || count == 0 else { return abort() }
    drive.multiple = count
    finish()
  }

  private func setGeometry(_ drive: ATADrive) {
    let sectors = UInt32(drive.taskFile.sectorCount.current)
    guard sectors > 0 else { return abort() }
    let heads = UInt32(drive.taskFile.device & ATADevice.headMask) + 1
    let geometry = ATAGeometry(heads: heads, sectorsPerTrack: sectors, sectorCount: drive.storage.sectorCount)
    // A cylinder that is larger than the disk would have addresses without a sector.
    guard geometry.cylinders > 0 else { return abort() }
    drive.geometry = geometry
    finish()
  }
}
