import GuestMemory
import Registers

/// A descriptor ring, read from its registers and checked (SDM 3.2.6, 3.4).
///
/// The memory is valid during the access that read the ring. The indices are copies.
struct E1000Ring {
  enum Fault {
    /// Head or tail is outside the ring.
    case index
    /// Some of the ring is not RAM.
    case address
  }

  /// Descriptors in the ring; at least 8.
  let size: Int
  let head: Int
  let tail: Int
  private let bytes: UnsafeMutableRawBufferPointer

  /// Reads the registers of the ring whose RDBAL or TDBAL is at `base`.
  ///
  /// - Returns: nil if the ring is faulty, and nil without a fault if its length is 0.
  static func read(
    _ registers: borrowing E1000RegisterFile, base: UInt32, memory: GuestMemory, fault: inout Fault?
  ) -> E1000Ring? {
    // RDBAL, RDBAH, RDLEN, RDH and RDT have the same layout as the registers from TDBAL on.
    let length = Int(registers[base + 8])
    let head = Int(registers[base + 0x10])
    let tail = Int(registers[base + 0x18])
    guard length > 0 else { return nil }
    guard head < length / 16, tail < length / 16 else {
      fault = .index
      return nil
    }
    let address = UInt64(registers[base]) | UInt64(registers[base + 4]) << 32
    guard let bytes = memory.slice(at: address, count: length) else {
      fault = .address
      return nil
    }
    return E1000Ring(size: length / 16, head: head, tail: tail, bytes: bytes)
  }

  /// Number of descriptors from head to tail: those that the device owns.
  var available: Int { tail >= head ? tail - head : size - head + tail }

  /// The index that is `count` descriptors after `index`. Both must be at most the ring's size.
  func index(_ index: Int, plus count: Int) -> Int {
    let sum = index + count
    return sum >= size ? sum - size : sum
  }

  /// A copy of descriptor `index`, which must be below `size`.
  @inline(__always)
  func load<Descriptor: BitwiseCopyable>(_ type: Descriptor.Type, at index: Int) -> Descriptor {
    UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: index * 16, as: type)
  }

  /// Whether receive descriptor `index` has a null address, and so no buffer.
  @inline(__always)
  func isNull(at index: Int) -> Bool {
    UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: index * 16, as: UInt64.self) == 0
  }

  /// Sets status bits of receive descriptor `index` and leaves the rest unchanged.
  func addStatus(_ status: UInt8, at index: Int) {
    bytes[index * 16 + 12] |= status
  }

  /// Writes the second half of descriptor `index`, which has the fields that the device writes back.
  @inline(__always)
  func storeFields(_ fields: UInt64, at index: Int) {
    bytes.storeBytes(of: fields, toByteOffset: index * 16 + 8, as: UInt64.self)
  }

  /// Writes STA of transmit descriptor `index`.
  @inline(__always)
  func storeStatus(_ status: UInt8, at index: Int) {
    bytes.storeBytes(of: status, toByteOffset: index * 16 + 12, as: UInt8.self)
  }
}
