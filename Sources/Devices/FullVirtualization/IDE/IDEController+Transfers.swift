import Backends
import GuestMemory
import Registers

/// Transfers, on the event loop.
extension IDEController: StorageClient {
  /// Runs the commands that the channels have queued.
  func serve() {
    loop.assertOnLoop()
    applyHeldWrites()
    for number in 0..<2 {
      guard let job = access(number, looksAtEngine: true, { $0.takeJob() }) else { continue }
      run(job, of: number)
    }
  }

  private func run(_ job: IDEJob, of number: Int) {
    let request = job.medium.request
    request.offset = job.lba &* 512
    request.isDurable = job.isDurable
    request.pieces.removeAll()
    var table = PRDTableSize.equal
    switch job.kind {
    case .flush: request.operation = .flush
    case .pioIn, .pioOut:
      request.operation = job.kind == .pioIn ? .read : .write
      request.pieces.append(UnsafeMutableRawBufferPointer(rebasing: job.medium.buffer[0..<job.count]))
    case .dmaIn, .dmaOut:
      request.operation = job.kind == .dmaIn ? .read : .write
      table = PRDTable.collect(memory, table: job.table, count: job.count, into: &request.pieces)
      guard table == .equal || table == .longer else {
        return access(number) { $0.jobEnded(.table(table)) }
      }
    }
    tables.value[request.tag] = table
    job.medium.storage.submit(request)
    job.medium.storage.commit()
  }

  package func completed(_ request: StorageRequest, _ result: StorageResult) {
    loop.assertOnLoop()
    // A held write to BMIS is older than the interrupt that this completion raises, and must not clear it.
    applyHeldWrites()
    let table = tables.value[request.tag]
    access(request.tag >> 1 & 1) { $0.jobEnded(.storage(result, table)) }
  }
}
