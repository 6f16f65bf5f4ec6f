import Backends
import GuestMemory

/// A disk whose requests wait until the test completes them with a result of its choice.
package final class HeldStorage: Storage, @unchecked Sendable {
  package let sectorCount: UInt64
  package let isReadOnly = false
  package let hasVolatileCache = true
  package let supportsDiscard = false
  package let supportsWriteZeroes = false
  package let kind = "held"
  package private(set) var waiting: [StorageRequest] = []
  package private(set) var submitted = 0
  package private(set) var durable: [Bool] = []

  package init(sectorCount: UInt64) { self.sectorCount = sectorCount }

  package func submit(_ request: StorageRequest) {
    submitted += 1
    durable.append(request.isDurable)
    waiting.append(request)
  }
  package func commit() {}

  /// Completes the oldest request; a successful read delivers bytes of `fill`.
  package func release(_ result: StorageResult = .success, fill: UInt8 = 0) {
    guard !waiting.isEmpty else { return }
    let request = waiting.removeFirst()
    if request.operation == .read, result == .success {
      let bytes = [UInt8](repeating: fill, count: request.pieces.count)
      bytes.withUnsafeBytes { _ = request.pieces.copyIn(from: $0) }
    }
    request.client?.completed(request, result)
  }
}
