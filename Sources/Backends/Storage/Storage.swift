import GuestMemory

/// The operations of a disk.
public enum StorageOperation: Sendable, Equatable {
  case read, write
  /// Makes every write that completed before it durable.
  case flush
  /// Discards the contents of a range. It then reads as zeroes or as before.
  case discard
  /// Zeroes a range; `unmap` allows it to become a hole.
  case writeZeroes(unmap: Bool)
}

/// How a request ended.
public enum StorageResult: Sendable, Equatable {
  case success
  case readOnly
  case outOfRange
  case unsupported
  /// The host's error, an errno value.
  case failed(Int32)
}

/// The submitter of a request. The storage calls it on its event loop when the request ends.
public protocol StorageClient: AnyObject, Sendable {
  func completed(_ request: StorageRequest, _ result: StorageResult)
}

/// One request to a disk, such as a transfer from or to guest memory.
///
/// The device owns it and keeps a pool of them. From `submit` until it ends, the storage owns it.
// Unchecked: its owner hands it to the storage and does not touch it until it has ended.
public final class StorageRequest: @unchecked Sendable {
  public var operation: StorageOperation = .read
  /// Bytes from the start of the disk; a multiple of 512.
  public var offset: UInt64 = 0
  /// Bytes to discard or zero. The length of a read or write is the size of `pieces`.
  public var length: UInt64 = 0
  public var pieces = ScatterList()
  /// For the device's use, for example a slot or a descriptor's index.
  public var tag = 0
  /// FUA: the write is durable when it completes.
  public var isDurable = false
  /// Held strongly. A device that is detached clears it.
  public var client: (any StorageClient)?

  public init() {}
}

/// A disk's contents. FV and PV devices use the same backends. Used on its event loop only.
public protocol Storage: AnyObject, Sendable {
  /// Size in sectors of 512 bytes.
  var sectorCount: UInt64 { get }
  var isReadOnly: Bool { get }
  /// Whether writes may stay in a volatile cache until a flush. The device then tells the guest to flush.
  var hasVolatileCache: Bool { get }
  var supportsDiscard: Bool { get }
  var supportsWriteZeroes: Bool { get }
  /// The kind for reports: `file` or `memory`.
  var kind: String { get }
  /// Takes a request. Its client is called on the loop when it ends, possibly before this returns.
  func submit(_ request: StorageRequest)
  /// Starts the submitted requests. Called once after a batch.
  func commit()
  /// Waits until all submitted requests have ended, so that their memory can be freed. On any thread.
  func drain()
  /// Like `drain`, but requests that the host has not started end with ECANCELED. For a machine that ends.
  func cancel()
}

extension Storage {
  /// For storages whose requests end inside `submit`: there is nothing to wait for.
  public func drain() {}
  public func cancel() { drain() }

  /// The byte range of `request`; nil if it is outside the disk or not in whole sectors.
  public func checkedRange(of request: StorageRequest) -> (offset: UInt64, length: UInt64)? {
    let length: UInt64
    switch request.operation {
    case .read, .write: length = UInt64(request.pieces.count)
    case .flush: return (0, 0)
    case .discard, .writeZeroes: length = request.length
    }
    let (size, overflow) = sectorCount.multipliedReportingOverflow(by: 512)
    guard !overflow, request.offset % 512 == 0, length % 512 == 0, length > 0, request.offset <= size,
      length <= size - request.offset
    else { return nil }
    return (request.offset, length)
  }

  /// The result for a request that is invalid for this disk; nil if it can be tried.
  public func refusal(of request: StorageRequest) -> StorageResult? {
    if request.operation != .read, request.operation != .flush, isReadOnly { return .readOnly }
    if request.operation == .discard, !supportsDiscard { return .unsupported }
    if case .writeZeroes = request.operation, !supportsWriteZeroes { return .unsupported }
    return checkedRange(of: request) == nil ? .outOfRange : nil
  }
}
