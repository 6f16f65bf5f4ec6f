/// A device with byte-wide registers.
///
/// A wider access becomes byte accesses at ascending offsets, as a bridge to an 8-bit ISA device makes them. Bytes past
/// the end of the range read as ones, and writes to them are dropped.
public protocol ByteTarget: BusTarget {
  /// The byte at `offset` of the range `region`.
  func readByte(region: Int, offset: UInt64) -> UInt8

  func writeByte(region: Int, offset: UInt64, _ value: UInt8)

  /// Number of registers in the range `region`; 1 by default.
  func byteCount(region: Int) -> UInt64
}

extension ByteTarget {
  public func byteCount(region: Int) -> UInt64 { 1 }

  public func read(_ access: BusAccess) -> UInt64 {
    let count = byteCount(region: access.region)
    var value: UInt64 = 0
    for index in 0..<UInt64(min(access.width, 8)) {
      let offset = access.offset &+ index
      let byte = offset < count ? readByte(region: access.region, offset: offset) : 0xFF
      value |= UInt64(byte) << (8 * index)
    }
    return value
  }

  public func write(_ access: BusAccess, _ value: UInt64) {
    let count = byteCount(region: access.region)
    for index in 0..<UInt64(min(access.width, 8)) where access.offset &+ index < count {
      writeByte(
        region: access.region, offset: access.offset &+ index, UInt8(truncatingIfNeeded: value >> (8 * index)))
    }
  }
}
