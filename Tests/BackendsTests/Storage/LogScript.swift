import TestSupport

/// A storage log built byte by byte, as the table in `StorageLogEntry` defines it.
struct LogScript {
  var bytes: [UInt8]
  private var number: UInt64 = 0
  private(set) var entries = 0

  init(sectors: UInt64 = 16) {
    bytes = Array("SWDSKLOG".utf8) + [1, 0, 0, 0, 0, 0, 0, 0] + Self.little(sectors)
  }

  static func little(_ value: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

  /// Begins 1 a write, 2 a flush, 3 a discard or 4 zeroes. Each sector of a write holds `fill`. Returns the number.
  @discardableResult
  mutating func submit(
    _ operation: UInt8, sector: UInt64 = 0, count: UInt64 = 0, fill: UInt8 = 0, durable: Bool = false
  ) -> UInt64 {
    bytes += [1, operation, durable ? 1 : 0, 0, 0, 0, 0, 0] + Self.little(number)
    bytes += Self.little(512 * sector) + Self.little(512 * count)
    if operation == 1 { bytes += [UInt8](repeating: fill, count: 512 * Int(count)) }
    entries += 1
    defer { number += 1 }
    return number
  }

  mutating func complete(_ number: UInt64, _ operation: UInt8 = 1, errno code: UInt8 = 0) {
    bytes += [2, operation, 0, 0, code, 0, 0, 0] + Self.little(number) + [UInt8](repeating: 0, count: 16)
    entries += 1
  }

  /// A write that completes before the next entry.
  mutating func write(sector: UInt64, count: UInt64 = 1, fill: UInt8, durable: Bool = false) {
    complete(submit(1, sector: sector, count: count, fill: fill, durable: durable))
  }

  mutating func flush() { complete(submit(2), 2) }

  func file() throws -> TemporaryFile {
    let file = try TemporaryFile(size: 0)
    file.store(bytes)
    return file
  }
}
