import Backends
import Counters
import Registers

/// What the loop is to do for a channel, copied out so that it works without the lock.
struct IDEJob: Sendable {
  var drive: ATADrive
  var kind: ATATransfer.Kind
  var lba: UInt64
  /// Bytes to move.
  var count: Int
  var table: UInt32
  var isDurable: Bool
}

/// How a job ended, before or in the storage.
enum IDEJobResult {
  case storage(StorageResult, PRDTableSize)
  /// Nothing moved: the table is short or leads out of RAM.
  case table(PRDTableSize)
}

extension IDEChannel {
  /// The next job, which makes the drive's request the loop's; nil when there is none.
  func takeJob() -> IDEJob? {
    guard phase == .queued, let drive = activeDrive, let transfer else { return nil }
    guard isBusMaster || !transfer.isDMA else {
      // Bus mastering went off before the loop got here: the command waits until it is on again.
      drive.status = ATADrive.idleStatus | ATAStatus.dataRequest
      phase = .waitingForEngine
      return nil
    }
    if transfer.isDMA, engine.writesMemory != (transfer.kind == .dmaIn) {
      // The bus master was set up for the other direction.
      counters.add(.badRequest)
      engineFailed()
      return nil
    }
    let count: Int
    switch transfer.kind {
    case .pioIn: count = 512 * min(transfer.sectors, transfer.readAhead)
    case .pioOut: count = drive.blockEnd
    case .dmaIn, .dmaOut: count = 512 * transfer.sectors
    case .flush: count = 0
    }
    phase = .running
    return IDEJob(
      drive: drive, kind: transfer.kind, lba: transfer.lba, count: count, table: engine.table,
      isDurable: !drive.isWriteCacheEnabled)
  }

  /// Takes the request back from the loop and goes on with the command, if it is still wanted.
  func jobEnded(_ drive: ATADrive, _ result: IDEJobResult) {
    guard phase == .running, let transfer else { return abandonedRequestEnded() }
    switch result {
    case .table(.shorter):
      // The bus master stops and the drive is left without an interrupt (1994 specification, status bit interpretation).
      engine.isActive = false
      counters.add(.badDescriptor)
      finish(interrupts: false)
    case .table:
      counters.add(.badAddress)
      engineFailed()
    case .storage(.success, let table):
      count(transfer, drive)
      succeeded(transfer, drive, table)
    case .storage(let error, _):
      counters.add(.diskErrors)
      failed(transfer, error)
    }
  }

  /// BMIS error: memory could not be reached. The drive is left without an interrupt.
  private func engineFailed() {
    engine.isActive = false
    engine.hasError = true
    finish(interrupts: false)
  }

  private func count(_ transfer: ATATransfer, _ drive: ATADrive) {
    switch transfer.kind {
    case .pioIn, .dmaIn: counters.add(.diskReads)
    case .pioOut, .dmaOut: counters.add(.diskWrites)
    case .flush: counters.add(.diskFlushes)
    }
    counters.add(.diskBytes, drive.request.pieces.count)
  }

  private func succeeded(_ transfer: ATATransfer, _ drive: ATADrive, _ table: PRDTableSize) {
    switch transfer.kind {
    case .flush: finish()
    case .dmaIn, .dmaOut:
      engine.isSpent = true
      if table == .equal { engine.isActive = false }
      if transfer.missing > 0 { failAtMissing(transfer) } else { finish() }
    case .pioIn:
      drive.cursor = 0
      drive.filled = drive.request.pieces.count
      presentReadBlock()
    case .pioOut:
      let written = drive.blockEnd / 512
      self.transfer?.lba &+= UInt64(written)
      self.transfer?.sectors -= written
      guard written < transfer.sectors else { return finish() }
      presentWriteBlock()
      setInterrupt(true, of: drive)
    }
  }

  private func failed(_ transfer: ATATransfer, _ result: StorageResult) {
    if transfer.kind == .pioIn, transfer.readAhead > transfer.block {
      // A sector ahead may be the bad one: read by blocks, so that the good ones arrive.
      self.transfer?.readAhead = transfer.block
      return queueRead()
    }
    engine.isSpent = engine.isSpent || transfer.isDMA
    switch (result, transfer.kind) {
    case (.outOfRange, _): finish(error: ATAError.idNotFound)
    case (.failed, .pioIn), (.failed, .dmaIn): finish(error: ATAError.uncorrectable)
    case (.failed, _): finish(error: ATAError.abort, status: ATAStatus.deviceFault)
    default: finish(error: ATAError.abort)
    }
  }
}
