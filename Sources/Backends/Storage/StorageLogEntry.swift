/// One entry of a storage log: a change of a disk was submitted, or it ended.
///
/// A log is a header of 24 bytes and then entries, all fields little-endian:
///
///     header   0 magic "SWDSKLOG"   8 version, 32 bits: 1   12 reserved, 32 bits: 0   16 sectors of 512 bytes, 64 bits
///     entry    0 kind, 8 bits   1 operation, 8 bits   2 flags, 16 bits: bit 0 durable (FUA)
///              4 result, 32 bits: 0 or an errno value   8 number, 64 bits   16 offset   24 length, 64 bits, in bytes
///              32 the data of a submitted write, `length` bytes
///
/// Submitted entries are numbered from 0 without gaps. A completed entry has the number and operation of the one that
/// it completes; its offset and length are 0. Entries are in the order of the events: a write whose completion is
/// before the submission of a flush had completed before that flush was submitted.
public struct StorageLogEntry: Sendable, Equatable {
  public enum Kind: UInt8, Sendable {
    case submitted = 1
    case completed = 2
  }
  public enum Operation: UInt8, Sendable {
    case write = 1
    case flush = 2
    case discard = 3
    case writeZeroes = 4
  }

  static let magic: [UInt8] = Array("SWDSKLOG".utf8)
  static let version: UInt32 = 1
  static let headerSize = 24
  /// Bytes of an entry without its data.
  static let size = 32

  public var kind: Kind
  public var operation: Operation
  public var isDurable = false
  /// The result: 0 for success, or an errno value.
  public var result: Int32 = 0
  public var number: UInt64
  /// Bytes.
  public var offset: UInt64 = 0
  public var length: UInt64 = 0
  /// The position of a submitted write's data in the log, in bytes.
  public internal(set) var dataPosition: UInt64 = 0

  init(_ kind: Kind, _ operation: Operation, number: UInt64) {
    self.kind = kind
    self.operation = operation
    self.number = number
  }

  /// Whether the entry changes the contents of the disk.
  var isChange: Bool { kind == .submitted && operation != .flush }

  /// Bytes of data after the fixed fields.
  var dataCount: UInt64 { kind == .submitted && operation == .write ? length : 0 }

  func append(to bytes: inout [UInt8]) {
    bytes.append(kind.rawValue)
    bytes.append(operation.rawValue)
    withUnsafeBytes(of: UInt16(isDurable ? 1 : 0).littleEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: result.littleEndian) { bytes.append(contentsOf: $0) }
    for field in [number, offset, length] {
      withUnsafeBytes(of: field.littleEndian) { bytes.append(contentsOf: $0) }
    }
  }

  /// Reads the fixed fields; nil if they are not valid for a disk of `sectorCount` sectors.
  init?(_ bytes: UnsafeRawBufferPointer, sectorCount: UInt64) {
    guard bytes.count >= Self.size else { return nil }
    let flags = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    guard let kind = Kind(rawValue: bytes[0]), let operation = Operation(rawValue: bytes[1]), flags <= 1 else {
      return nil
    }
    self.init(
      kind, operation, number: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    isDurable = flags == 1
    result = Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: Int32.self))
    offset = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    length = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
    guard isChange else {
      guard offset == 0, length == 0, result >= 0, kind == .completed || result == 0 else { return nil }
      return
    }
    let size = sectorCount * 512
    guard result == 0, offset % 512 == 0, length % 512 == 0, length > 0, offset <= size, length <= size - offset else {
      return nil
    }
  }
}
