import Backends
import Counters
import Glibc
import Threads

/// A disk with a volatile write cache that can lose power. Reads see the cache, and `medium` holds data that a flush or
/// a durable write (FUA) has made durable.
///
/// Power is lost at the `powerLossAfter`th change or flush, before that has completed. From then on, no request
/// completes before `drain`, as with a disconnected drive.
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

  /// The data that remains after the loss of power.
  package var medium: UnsafeRawBufferPointer { UnsafeRawBufferPointer(durable.bytes) }
  /// The number of completed writes that were only in the cache: those that the loss of power drops.
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
      // Before the cache completes the request, since the client may flush in its completion.
      request.pieces.copyOut(into: UnsafeMutableRawBufferPointer(rebasing: cache.bytes[range]))
      if request.isDurable { settle(range) } else { dirty.append(range) }
    }
    cache.submit(request)
  }

  private func settle(_ range: Range<Int>) {
    UnsafeMutableRawBufferPointer(rebasing: durable.bytes[range])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: cache.bytes[range]))
  }

  /// Drops every write that is not durable, and leaves later requests without an answer.
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
