/// The part of ACPI Machine Language that a static DSDT needs (ACPI 6.4, chapter 20; resource descriptors: 6.4).
///
/// Each function returns the bytes of one term.
enum AML {
  /// A path of one or two segments, such as `\_SB` or `PCI0`. Segments are padded to four characters.
  static func path(_ text: String) -> [UInt8] {
    let isRooted = text.hasPrefix("\\")
    let segments = text.dropFirst(isRooted ? 1 : 0).split(separator: ".")
    let names = segments.flatMap { segment in
      Array(segment.utf8.prefix(4)) + [UInt8](repeating: UInt8(ascii: "_"), count: max(0, 4 - segment.utf8.count))
    }
    let prefix: [UInt8] = segments.count == 2 ? [0x2E] : []
    return (isRooted ? [UInt8(ascii: "\\")] : []) + prefix + names
  }

  static func integer(_ value: UInt32) -> [UInt8] {
    switch value {
    case 0: [0x00]
    case 1: [0x01]
    case 2...0xFF: [0x0A] + little(value, 1)
    case 0x100...0xFFFF: [0x0B] + little(value, 2)
    default: [0x0C] + little(value, 4)
    }
  }

  static func string(_ text: String) -> [UInt8] { [0x0D] + Array(text.utf8) + [0] }

  /// DefName: an object with a value.
  static func name(_ name: String, _ value: [UInt8]) -> [UInt8] { [0x08] + path(name) + value }

  static func scope(_ name: String, _ terms: [[UInt8]]) -> [UInt8] {
    [0x10] + withLength(path(name) + terms.joined())
  }

  static func device(_ name: String, _ terms: [[UInt8]]) -> [UInt8] {
    [0x5B, 0x82] + withLength(path(name) + terms.joined())
  }

  /// At most 255 elements.
  static func package(_ elements: [[UInt8]]) -> [UInt8] {
    [0x12] + withLength([UInt8(truncatingIfNeeded: elements.count)] + elements.joined())
  }

  /// The compressed form of an identifier such as PNP0A03: three letters of five bits, four hexadecimal digits.
  static func eisaID(_ text: String) -> [UInt8] {
    let letters = text.utf8.prefix(3).reduce(UInt32(0)) { $0 << 5 | UInt32($1 & 0x1F) }
    let identifier = letters << 16 | (UInt32(text.dropFirst(3), radix: 16) ?? 0)
    return [0x0C] + little(identifier.byteSwapped, 4)
  }

  // MARK: Resources

  /// A buffer of resource descriptors, with the end tag.
  static func resources(_ descriptors: [[UInt8]]) -> [UInt8] {
    let bytes = Array(descriptors.joined()) + [0x79, 0x00]
    return [0x11] + withLength(integer(UInt32(truncatingIfNeeded: bytes.count)) + bytes)
  }

  /// I/O ports at a fixed address.
  static func ports(_ base: UInt32, count: UInt32) -> [UInt8] {
    [0x47, 0x01] + little(base, 2) + little(base, 2) + [0x01] + little(count, 1)
  }

  /// An edge-triggered ISA interrupt.
  static func interrupt(_ number: UInt32) -> [UInt8] { [0x22] + little(UInt32(1) << number, 2) }

  /// A window that a bridge forwards (0: memory, 1: I/O, 2: bus numbers), with 16-bit fields.
  static func wordWindow(_ type: UInt8, _ range: ClosedRange<UInt32>) -> [UInt8] {
    // Producer, fixed minimum and maximum, positive decode; for I/O: the whole range, not only ISA's part.
    [0x88, 0x0D, 0x00, type, 0x0C, type == 1 ? 0x03 : 0x00] + window(range, 2)
  }

  /// A window of memory below 4 GiB: uncached, writable.
  static func memoryWindow(_ range: ClosedRange<UInt32>) -> [UInt8] {
    [0x87, 0x17, 0x00, 0x00, 0x0C, 0x01] + window(range, 4)
  }

  /// Granularity, minimum, maximum, translation, length.
  private static func window(_ range: ClosedRange<UInt32>, _ width: Int) -> [UInt8] {
    let fields: [UInt32] = [0, range.lowerBound, range.upperBound, 0, UInt32(truncatingIfNeeded: range.count)]
    return fields.flatMap { little($0, width) }
  }

  // MARK: Encoding

  static func little(_ value: UInt32, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// `bytes` with PkgLength in front, which includes its own length.
  private static func withLength(_ bytes: [UInt8]) -> [UInt8] {
    if bytes.count + 1 < 0x40 { return [UInt8(bytes.count + 1)] + bytes }
    let extra = bytes.count + 2 < 1 << 12 ? 1 : 2
    let length = UInt32(truncatingIfNeeded: bytes.count + 1 + extra)
    return [UInt8(extra << 6) | UInt8(length & 0xF)] + little(length >> 4, extra) + bytes
  }
}
