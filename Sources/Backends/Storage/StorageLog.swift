import Failures
import Glibc
import GuestMemory

/// Logs every change of a disk with its data, so that `PowerLossReplay` can rebuild the medium after a power loss at
/// any point. `StorageLogEntry` describes the format.
///
/// The data of a write is logged as it is at submission. The write goes to the disk only after its entry is in the log;
/// one system call writes the entries of a batch. The entry for its completion is written with the next batch, at
/// `drain`, or when the log closes. The log of a killed VMM is therefore complete up to the point where it is cut off.
///
/// If the log cannot be written, this change and all later ones fail with that error and leave the disk unchanged.
/// Reads still work. The disk always reports a volatile cache, so that the guest flushes. Used on the disk's loop.
// Unchecked: only the loop's thread uses its variables once `init` has returned.
public final class StorageLog: Storage, StorageClient, @unchecked Sendable {
  public var sectorCount: UInt64 { storage.sectorCount }
  public var isReadOnly: Bool { storage.isReadOnly }
  public let hasVolatileCache = true
  public var supportsDiscard: Bool { storage.supportsDiscard }
  public var supportsWriteZeroes: Bool { storage.supportsWriteZeroes }
  public var kind: String { storage.kind }

  private let storage: any Storage
  private let path: String
  private let file: StorageLogFile
  private var nextNumber: UInt64 = 0

  /// A change in flight, with the request that goes to the disk in place of the device's.
  private struct Change {
    var request = StorageRequest()
    var origin: StorageRequest?
    var number: UInt64 = 0
  }
  private var changes: [Change] = []
  private var free: [Int] = []
  /// Changes whose entries are in the log's buffer, and which wait for `commit`.
  private var waiting: [Int] = []

  /// For a run that cannot start: removes the log if this object created it.
  public func removeIfMade() { file.removeIfMade() }

  /// Logs the changes of `storage` to the file at `path`: a new or empty file, or an old log, which is overwritten.
  public init(_ storage: any Storage, path: String) throws(Failure) {
    self.storage = storage
    self.path = path
    file = try StorageLogFile(path: path, sectorCount: storage.sectorCount)
  }

  /// Why the log is incomplete; nil while it is complete.
  public var failure: Failure? {
    let code = file.error
    return code == 0
      ? nil
      : Failure(
        "write the disk log \(path)", errno: code, fix: "The log ends there. Free some space and run the guest again.")
  }

  public func submit(_ request: StorageRequest) {
    guard let operation = Self.operation(of: request), storage.refusal(of: request) == nil else {
      return storage.submit(request)
    }
    let range = checkedRange(of: request) ?? (0, 0)
    var entry = StorageLogEntry(.submitted, operation, number: nextNumber)
    entry.isDurable = request.isDurable && operation != .flush
    entry.offset = range.offset
    entry.length = range.length
    file.append(entry, operation == .write ? request.pieces : ScatterList())
    waiting.append(take(request, number: nextNumber))
    nextNumber += 1
  }

  /// Writes the log first, then starts the waiting changes.
  public func commit() {
    if !waiting.isEmpty {
      let batch = waiting
      waiting.removeAll(keepingCapacity: true)
      let error = file.write()
      for index in batch {
        if error == 0 { storage.submit(changes[index].request) } else { end(index, .failed(error)) }
      }
    }
    storage.commit()
  }

  public func drain() {
    storage.drain()
    file.write()
  }

  public func cancel() {
    storage.cancel()
    file.write()
  }

  public func completed(_ request: StorageRequest, _ result: StorageResult) {
    guard changes.indices.contains(request.tag), let operation = Self.operation(of: request) else { return }
    var entry = StorageLogEntry(.completed, operation, number: changes[request.tag].number)
    entry.result = Self.code(of: result)
    file.append(entry)
    end(request.tag, result)
  }

  // MARK: Changes

  private static func operation(of request: StorageRequest) -> StorageLogEntry.Operation? {
    switch request.operation {
    case .read: nil
    case .write: .write
    case .flush: .flush
    case .discard: .discard
    case .writeZeroes: .writeZeroes
    }
  }

  private static func code(of result: StorageResult) -> Int32 {
    switch result {
    case .success: 0
    case .readOnly: EROFS
    case .outOfRange: EINVAL
    case .unsupported: EOPNOTSUPP
    case .failed(let code): max(1, code)
    }
  }

  /// Copies `origin` into a free change, whose client is this log.
  private func take(_ origin: StorageRequest, number: UInt64) -> Int {
    let index = free.popLast() ?? changes.count
    if index == changes.count { changes.append(Change()) }
    changes[index].origin = origin
    changes[index].number = number
    let request = changes[index].request
    request.operation = origin.operation
    request.offset = origin.offset
    request.length = origin.length
    request.pieces = origin.pieces
    request.isDurable = origin.isDurable
    request.tag = index
    request.client = self
    return index
  }

  private func end(_ index: Int, _ result: StorageResult) {
    guard let origin = changes[index].origin else { return }
    changes[index].origin = nil
    changes[index].request.client = nil
    // While shared, the pieces would be copied when the device refills its own request.
    changes[index].request.pieces = ScatterList()
    free.append(index)
    origin.client?.completed(origin, result)
  }
}
