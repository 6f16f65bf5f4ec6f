/// Where an access lands in a target: which of its ranges, at which offset, how wide.
public struct BusAccess: Sendable {
  /// The number its owner gave the range: a BAR's index, or a register block's.
  public let region: Int
  /// Bytes from the start of the range.
  public let offset: UInt64
  /// Bytes of one element: 1, 2, 4 or 8.
  public let width: Int

  public init(region: Int, offset: UInt64, width: Int) {
    self.region = region
    self.offset = offset
    self.width = width
  }
}

/// What answers accesses on a bus: registers of one device.
///
/// Called on vCPU threads, several at once; each device guards its state with its own lock.
open class BusTarget: @unchecked Sendable {
  public init() {}

  /// The register's value, in the low `width` bytes.
  open func read(_ access: BusAccess) -> UInt64 { ~0 }

  /// Writes the low `width` bytes of `value`.
  open func write(_ access: BusAccess, _ value: UInt64) {}

  /// The register that `access` reaches, as its datasheet spells it; nil where it has no name. For a trace.
  open func registerName(_ access: BusAccess, isWrite: Bool) -> String? { nil }

  /// `rep ins`: fills `buffer` with elements of `access.width` bytes, all read at one address.
  open func readBlock(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer) {
    for start in stride(from: 0, to: buffer.count, by: access.width) {
      storeElement(read(access), width: access.width, to: buffer, at: start)
    }
  }

  /// `rep outs`: writes each element of `buffer`, `access.width` bytes wide, to one address.
  open func writeBlock(_ access: BusAccess, from buffer: UnsafeRawBufferPointer) {
    for start in stride(from: 0, to: buffer.count, by: access.width) {
      write(access, loadElement(width: access.width, from: buffer, at: start))
    }
  }
}

/// The little-endian element of `width` bytes at `start`; bytes beyond the buffer read as 0.
@inline(__always)
public func loadElement(width: Int, from buffer: UnsafeRawBufferPointer, at start: Int) -> UInt64 {
  var value: UInt64 = 0
  let count = min(width, buffer.count - start, 8)
  guard count > 0 else { return 0 }
  withUnsafeMutableBytes(of: &value) {
    $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<start + count]))
  }
  return value
}

/// Stores the low `width` bytes of `value` at `start`, as far as the buffer goes.
@inline(__always)
public func storeElement(_ value: UInt64, width: Int, to buffer: UnsafeMutableRawBufferPointer, at start: Int) {
  let count = min(width, buffer.count - start, 8)
  guard count > 0 else { return }
  withUnsafeBytes(of: value) { bytes in
    UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + count])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[0..<count]))
  }
}
