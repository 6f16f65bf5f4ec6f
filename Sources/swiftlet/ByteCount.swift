import ArgumentParser

/// A number of bytes on the command line, such as `128M`, `3.5G` or `65536`.
struct ByteCount: ExpressibleByArgument {
  let bytes: Int

  init(_ bytes: Int) { self.bytes = bytes }

  /// Returns nil unless `argument` is a positive number of whole bytes. `0.1G` is not.
  init?(argument: String) {
    let units: [Character: Int] = ["k": 10, "K": 10, "m": 20, "M": 20, "g": 30, "G": 30, "t": 40, "T": 40]
    var digits = Substring(argument)
    var shift = 0
    if let last = digits.last, let unit = units[last] {
      shift = unit
      digits = digits.dropLast()
    }
    let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, let whole = Self.number(parts[0]) else { return nil }
    var (bytes, overflow) = whole.multipliedReportingOverflow(by: 1 << shift)
    if parts.count == 2 {
      // 15 digits times 1 TiB would overflow 64 bits, so the product has 128 bits.
      guard parts[1].utf8.count <= 15, let fraction = Self.number(parts[1]) else { return nil }
      let scale = parts[1].reduce(UInt64(1)) { scale, _ in scale * 10 }
      let product = UInt64(fraction).multipliedFullWidth(by: 1 << UInt64(shift))
      guard product.high < scale else { return nil }
      let (quotient, remainder) = scale.dividingFullWidth(product)
      guard remainder == 0 else { return nil }
      let sum = bytes.addingReportingOverflow(Int(quotient))
      (bytes, overflow) = (sum.partialValue, overflow || sum.overflow)
    }
    guard !overflow, bytes > 0 else { return nil }
    self.bytes = bytes
  }

  /// The value of `digits`; nil if there is a sign or another character.
  private static func number(_ digits: Substring) -> Int? {
    digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(digits) : nil
  }

  var defaultValueDescription: String { bytes % (1 << 20) == 0 ? "\(bytes >> 20)M" : "\(bytes)" }
}
