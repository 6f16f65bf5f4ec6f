import GuestMemory

/// What a disk can be asked to do.
public enum StorageOperation: Sendable, Equatable {
  case read, write
  /// Makes every write that completed before it durable.
  case flush
  /// Gives up the contents of a range; it reads as zeroes or as before.
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

/// Whoever submitted a request and hears of its end, on the storage's event loop.
public protocol StorageClient: AnyObject, Sendable {
  func completed(_ request: StorageRequest, _ result: StorageResult)
}

/// One transfer between guest memory and a disk. Owned by the device, which keeps a pool of them; while it is
/// submitted it belongs to the storage.
// Unchecked: its owner hands it to the storage and does not touch it until it has ended.
public final class StorageRequest: @unchecked Sendable {
  public var operation: StorageOperation = .read
  /// Bytes from the start of the disk; a multiple of 512.
  public var offset: UInt64 = 0
  /// Bytes to discard or zero; a read or write moves as many bytes as `pieces` has.
  public var length: UInt64 = 0
  public var pieces = ScatterList()
  /// What the device wants to remember: a slot, a descriptor's index.
  public var tag = 0
  /// FUA: the write is durable when it completes.
  public var isDurable = false
  /// Held strongly; a device that is detached takes itself out.
  public var client: (any StorageClient)?

  public init() {}
}

/// A disk's contents. FV and PV devices share one object; it is used on its event loop only.
public protocol Storage: AnyObject, Sendable {
  /// Size in sectors of 512 bytes.
  var sectorCount: UInt64 { get }
  var isReadOnly: Bool { get }
  /// Whether writes may sit in a volatile cache until a flush; a guest is then told to flush.
  var hasVolatileCache: Bool { get }
  var supportsDiscard: Bool { get }
  var supportsWriteZeroes: Bool { get }
  /// What names the disk in a report, as `file`, `memory`.
  var kind: String { get }
  /// Hands over a request. Its client hears of the end on the loop, perhaps before this returns.
  func submit(_ request: StorageRequest)
  /// Starts what was submitted; called once after a batch.
  func commit()
  /// Waits until nothing submitted is under way, so that its memory can go. On any thread.
  func drain()
  /// As `drain`, but what the host has not begun ends with ECANCELED: for a machine that ends. On any thread.
  func cancel()
}

extension Storage {
  /// Nothing to wait for where requests end inside `submit`.
  public func drain() {}
  public func cancel() { drain() }

  /// The range `request` touches, or nil when it leaves the disk or is not whole sectors.
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

  /// Why `request` cannot be done at all; nil when it can be tried.
  public func refusal(of request: StorageRequest) -> StorageResult? {
    if request.operation != .read, request.operation != .flush, isReadOnly { return .readOnly }
    if request.operation == .discard, !supportsDiscard { return .unsupported }
    if case .writeZeroes = request.operation, !supportsWriteZeroes { return .unsupported }
    return checkedRange(of: request) == nil ? .outOfRange : nil
  }
}
