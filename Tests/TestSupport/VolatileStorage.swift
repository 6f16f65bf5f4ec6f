import Backends
import Counters
import Glibc
import Threads

/// A disk with a volatile write cache and a plug to pull: reads see the cache, and `medium` holds what a flush or a
/// durable write (FUA) made sure of.
///
/// Power is lost at the `powerLossAfter`th change or flush, before that has ended; from then on nothing ends any more
/// before `drain`, as with a drive that is gone.
package final class VolatileStorage: Storage, @unchecked Sendable {
  package var sectorCount: UInt64 { cache.sectorCount }
  package let isReadOnly = false
  package let hasVolatileCache = true
  package let supportsDiscard = false
  package let supportsWriteZeroes = false
  package let kind = "volatile"
  /// Opens when power is lost.
  package let lostPower = Latch()
  private let cache: MemoryStorage
  private let durable: MemoryStorage
  private var dirty: [Range<Int>] = []
  private var operationsLeft: Int
  private var hasPower = true
  private var stuck: [StorageRequest] = []

  package init(sectorCount: UInt64, powerLossAfter operations: Int) throws {
    cache = try MemoryStorage(sectorCount: sectorCount, counters: Counters(owner: "cache"))
    durable = try MemoryStorage(sectorCount: sectorCount, counters: Counters(owner: "medium"))
    operationsLeft = operations
  }

  /// What is left after the loss of power.
  package var medium: UnsafeRawBufferPointer { UnsafeRawBufferPointer(durable.bytes) }
  /// Writes that had ended and were in the cache alone: what the loss of power took.
  package var lostWrites: Int { dirty.count }

  package func submit(_ request: StorageRequest) {
    if request.operation != .read, operationsLeft > 0 {
      operationsLeft -= 1
      if operationsLeft == 0 { powerLoss() }
    }
    guard hasPower else { return stuck.append(request) }
    if request.operation == .flush {
      for range in dirty { settle(range) }
      dirty.removeAll()
    } else if request.operation == .write, let (offset, length) = checkedRange(of: request) {
      let range = Int(offset)..<Int(offset + length)
      // Before the cache tells the client, which may flush from there.
      request.pieces.copyOut(into: UnsafeMutableRawBufferPointer(rebasing: cache.bytes[range]))
      if request.isDurable { settle(range) } else { dirty.append(range) }
    }
    cache.submit(request)
  }

  private func settle(_ range: Range<Int>) {
    UnsafeMutableRawBufferPointer(rebasing: durable.bytes[range])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: cache.bytes[range]))
  }

  /// Drops every write that nothing made durable, and leaves what comes without an answer.
  package func powerLoss() {
    hasPower = false
    lostPower.open()
  }

  package func commit() {}

  package func drain() {
    let requests = stuck
    stuck.removeAll()
    for request in requests { request.client?.completed(request, .failed(EIO)) }
  }
}
