/// The position and the width of an access in a target.
public struct BusAccess: Sendable {
  /// The number that the target gave the range: the index of a BAR, or of a register block.
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

/// The registers of a device on a bus.
///
/// Called on vCPU threads, possibly on several at once.
public protocol BusTarget: AnyObject, Sendable {
  /// The register's value, in the low `width` bytes.
  func read(_ access: BusAccess) -> UInt64

  /// Writes the low `width` bytes of `value`.
  func write(_ access: BusAccess, _ value: UInt64)

  /// `rep ins`: fills `buffer` with elements of `access.width` bytes, all read at one address.
  func readBlock(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer)

  /// `rep outs`: writes all elements of `buffer`, each `access.width` bytes wide, to one address.
  func writeBlock(_ access: BusAccess, from buffer: UnsafeRawBufferPointer)

  /// The name of the accessed register in its datasheet, for a trace; nil if it has none.
  func registerName(_ access: BusAccess, isWrite: Bool) -> String?
}

/// Defaults: registers without names, and blocks as single accesses.
extension BusTarget {
  public func registerName(_ access: BusAccess, isWrite: Bool) -> String? { nil }

  public func readBlock(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer) {
    readElements(access, into: buffer)
  }

  public func writeBlock(_ access: BusAccess, from buffer: UnsafeRawBufferPointer) {
    writeElements(access, from: buffer)
  }

  /// Fills `buffer` with single reads.
  func readElements(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer) {
    for start in stride(from: 0, to: buffer.count, by: access.width) {
      storeElement(read(access), width: access.width, to: buffer, at: start)
    }
  }

  /// Writes `buffer` with single writes.
  func writeElements(_ access: BusAccess, from buffer: UnsafeRawBufferPointer) {
    for start in stride(from: 0, to: buffer.count, by: access.width) {
      write(access, loadElement(width: access.width, from: buffer, at: start))
    }
  }
}

/// The little-endian element of `width` bytes at `start`; bytes past the end of the buffer read as 0.
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

/// Stores the low `width` bytes of `value` at `start`; drops bytes past the end of the buffer.
@inline(__always)
public func storeElement(_ value: UInt64, width: Int, to buffer: UnsafeMutableRawBufferPointer, at start: Int) {
  let count = min(width, buffer.count - start, 8)
  guard count > 0 else { return }
  withUnsafeBytes(of: value) { bytes in
    UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + count])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[0..<count]))
  }
}
