import Backends
import GuestMemory
import Registers

/// Transfers, on the event loop.
extension IDEController: StorageClient {
  /// Runs what the channels have queued.
  func serve() {
    loop.assertOnLoop()
    applyHeldWrites()
    serve(primary)
    serve(secondary)
  }

  private func serve(_ channel: IDEChannel) {
    let taken = lock.withLock { _ in
      takeQuietCommands(channel)
      return channel.takeJob()
    }
    guard let job = taken else { return }
    let request = job.drive.request
    request.offset = job.lba &* 512
    request.isDurable = job.isDurable
    request.pieces.removeAll()
    var table = PRDTableSize.equal
    switch job.kind {
    case .flush: request.operation = .flush
    case .pioIn, .pioOut:
      request.operation = job.kind == .pioIn ? .read : .write
      request.pieces.append(UnsafeMutableRawBufferPointer(rebasing: job.drive.buffer[0..<job.count]))
    case .dmaIn, .dmaOut:
      request.operation = job.kind == .dmaIn ? .read : .write
      table = PRDTable.collect(memory, table: job.table, count: job.count, into: &request.pieces)
      guard table == .equal || table == .longer else {
        return locked(channel) { $0.jobEnded(job.drive, .table(table)) }
      }
    }
    job.drive.tableSize = table
    job.drive.storage.submit(request)
    job.drive.storage.commit()
  }

  public func completed(_ request: StorageRequest, _ result: StorageResult) {
    loop.assertOnLoop()
    // A write to BMIS that waits is older than the interrupt that follows.
    applyHeldWrites()
    let channel = channel(request.tag >> 1 & 1)
    locked(channel) { channel in
      guard let drive = request.tag & 1 == 0 ? channel.drive0 : channel.drive1 else { return }
      channel.jobEnded(drive, .storage(result, drive.tableSize))
      // After `detach` nothing else lets go of the controller.
      if isDetached { channel.forgetClients() }
    }
  }
}
