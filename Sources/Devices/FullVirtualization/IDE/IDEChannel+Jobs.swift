import Backends
import Counters
import Registers

/// A storage request that the loop makes for a channel. It is a copy, so that the loop works without the lock.
struct IDEJob: Sendable {
  var medium: ATAMedium
  var kind: ATATransfer.Kind
  var lba: UInt64
  /// Bytes to move.
  var count: Int
  /// The PRD table of a DMA command.
  var table: UInt32
  var isDurable: Bool
}

/// The end of a job, in the storage or before it.
enum IDEJobResult {
  case storage(StorageResult, PRDTableSize)
  /// No data was moved: the table is too short or invalid.
  case table(PRDTableSize)
}

extension IDEChannel {
  /// Returns the next job, and passes the ownership of the drive's request to the loop; nil if there is no job.
  mutating func takeJob() -> IDEJob? {
    guard case .active(let transfer, .queued) = command, let drive = drives[transfer.drive] else { return nil }
    guard isBusMaster || !transfer.isDMA else {
      // The guest has turned bus mastering off: the command waits until it is on again.
      drives[transfer.drive]?.status = ATADrive.dataStatus
      command = .active(transfer, .engine)
      return nil
    }
    if transfer.isDMA, engine.writesMemory != (transfer.kind == .dmaIn) {
      // The guest set the engine up for the other direction.
      counters.add(.badRequest)
      engineFailed(transfer)
      return nil
    }
    let count =
      switch transfer.kind {
      case .pioIn: 512 * min(transfer.sectors, transfer.readAhead)
      case .pioOut: drive.blockEnd
      case .dmaIn, .dmaOut: 512 * transfer.sectors
      case .flush: 0
      }
    command = .active(transfer, .running)
    return IDEJob(
      medium: drive.medium, kind: transfer.kind, lba: transfer.lba, count: count, table: engine.table,
      isDurable: !drive.isWriteCacheEnabled)
  }

  /// Takes the request back from the loop, and continues the command unless the guest aborted it.
  mutating func jobEnded(_ result: IDEJobResult) {
    guard case .active(let transfer, .running) = command else { return abandonedRequestEnded() }
    switch result {
    case .table(.shorter):
      // The engine stops, and the drive does not interrupt (1994 specification, status bit interpretation).
      engine.isActive = false
      counters.add(.badDescriptor)
      finish(transfer.drive, interrupts: false)
    case .table:
      counters.add(.badAddress)
      engineFailed(transfer)
    case .storage(.success, let table): succeeded(transfer, table)
    case .storage(let error, _):
      counters.add(.diskErrors)
      failed(transfer, error)
    }
  }

  /// Stops the engine with the error bit of BMIS. The drive does not interrupt.
  private mutating func engineFailed(_ transfer: ATATransfer) {
    engine.isActive = false
    engine.hasError = true
    finish(transfer.drive, interrupts: false)
  }

  private mutating func succeeded(_ old: ATATransfer, _ table: PRDTableSize) {
    var transfer = old
    let bytes = drives[transfer.drive]?.medium.request.pieces.count ?? 0
    counters.add(.diskBytes, bytes)
    switch transfer.kind {
    case .pioIn, .dmaIn: counters.add(.diskReads)
    case .pioOut, .dmaOut: counters.add(.diskWrites)
    case .flush: counters.add(.diskFlushes)
    }
    switch transfer.kind {
    case .flush: finish(transfer.drive)
    case .dmaIn, .dmaOut:
      engine.isSpent = true
      if table == .equal { engine.isActive = false }
      if transfer.missing > 0 { failAtMissing(transfer) } else { finish(transfer.drive) }
    case .pioIn:
      drives[transfer.drive]?.cursor = 0
      drives[transfer.drive]?.filled = bytes
      presentReadBlock(transfer)
    case .pioOut:
      let written = (drives[transfer.drive]?.blockEnd ?? 0) / 512
      transfer.lba &+= UInt64(written)
      transfer.sectors -= written
      guard transfer.sectors > 0 else { return finish(transfer.drive) }
      presentWriteBlock(transfer)
      setInterrupt(true, of: transfer.drive)
    }
  }

  private mutating func failed(_ transfer: ATATransfer, _ result: StorageResult) {
    if transfer.kind == .pioIn, transfer.readAhead > transfer.block {
      // The bad sector may be one that was read ahead: retry block by block, so that the guest gets the good ones.
      var transfer = transfer
      transfer.readAhead = transfer.block
      return queue(transfer)
    }
    engine.isSpent = engine.isSpent || transfer.isDMA
    switch (result, transfer.kind) {
    case (.outOfRange, _): fail(transfer, error: ATAError.idNotFound)
    case (.failed, .pioIn), (.failed, .dmaIn): fail(transfer, error: ATAError.uncorrectable)
    case (.failed, _): fail(transfer, error: ATAError.abort, status: ATAStatus.deviceFault)
    default: fail(transfer, error: ATAError.abort)
    }
  }
}
