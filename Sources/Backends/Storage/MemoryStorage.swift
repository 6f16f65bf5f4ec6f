import Counters
import Failures
import Glibc

/// A disk in the VMM's memory, for tests and for measuring a device model without a real disk.
// Unchecked: only the loop's thread uses `bytes` while requests run.
public final class MemoryStorage: Storage, @unchecked Sendable {
  public let sectorCount: UInt64
  public let isReadOnly: Bool
  public let hasVolatileCache = false
  public let supportsDiscard = true
  public let supportsWriteZeroes = true
  public let kind = "memory"
  /// The contents; the storage's loop writes here while requests run.
  public let bytes: UnsafeMutableRawBufferPointer
  private let counters: Counters

  public init(sectorCount: UInt64, isReadOnly: Bool = false, counters: Counters) throws(Failure) {
    let size = Int(clamping: sectorCount) &* 512
    guard sectorCount > 0, sectorCount <= 1 << 40,
      let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      mapped != MAP_FAILED
    else {
      throw Failure("create a disk of \(sectorCount) sectors in memory", cause: "there is not enough address space")
    }
    self.sectorCount = sectorCount
    self.isReadOnly = isReadOnly
    self.counters = counters
    bytes = UnsafeMutableRawBufferPointer(start: mapped, count: size)
  }

  deinit { munmap(bytes.baseAddress, bytes.count) }

  public func submit(_ request: StorageRequest) {
    guard let client = request.client else { return }
    if let refusal = refusal(of: request) { return client.completed(request, refusal) }
    guard let (offset, length) = checkedRange(of: request) else { return client.completed(request, .outOfRange) }
    let range = UnsafeMutableRawBufferPointer(rebasing: bytes[Int(offset)..<Int(offset + length)])
    switch request.operation {
    case .read:
      request.pieces.copyIn(from: UnsafeRawBufferPointer(range))
      counters.add(.bytesCopied, Int(length))
    case .write:
      request.pieces.copyOut(into: range)
      counters.add(.bytesCopied, Int(length))
    case .flush: break
    case .discard, .writeZeroes: if let start = range.baseAddress { memset(start, 0, range.count) }
    }
    client.completed(request, .success)
  }

  public func commit() {}
}
