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

/// The registers of one device, as a bus reaches them.
///
/// Called on vCPU threads, several at once.
public protocol BusTarget: AnyObject, Sendable {
  /// The register's value, in the low `width` bytes.
  func read(_ access: BusAccess) -> UInt64

  /// Writes the low `width` bytes of `value`.
  func write(_ access: BusAccess, _ value: UInt64)

  /// `rep ins`: fills `buffer` with elements of `access.width` bytes, all read at one address.
  func readBlock(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer)

  /// `rep outs`: writes each element of `buffer`, `access.width` bytes wide, to one address.
  func writeBlock(_ access: BusAccess, from buffer: UnsafeRawBufferPointer)

  /// The register that `access` reaches, as its datasheet spells it; nil where it has no name. For a trace.
  func registerName(_ access: BusAccess, isWrite: Bool) -> String?
}

/// What a target has that says no more: registers without names, and blocks that are single accesses.
extension BusTarget {
  public func registerName(_ access: BusAccess, isWrite: Bool) -> String? { nil }

  public func readBlock(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer) {
    readElements(access, into: buffer)
  }

  public func writeBlock(_ access: BusAccess, from buffer: UnsafeRawBufferPointer) {
    writeElements(access, from: buffer)
  }

  /// Fills `buffer` by single reads.
  func readElements(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer) {
    for start in stride(from: 0, to: buffer.count, by: access.width) {
      storeElement(read(access), width: access.width, to: buffer, at: start)
    }
  }

  /// Writes `buffer` by single writes.
  func writeElements(_ access: BusAccess, from buffer: UnsafeRawBufferPointer) {
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
