import CGuest

/// The kernel command line: words of the form `key=value`.
struct CommandLine {
  private let address: UInt64

  init(address: UInt64) { self.address = address }

  /// A piece of the command line.
  struct Value {
    let start: UInt64
    let count: Int

    func byte(_ index: Int) -> UInt8 { ring_load8(start + UInt64(index)) }

    func equals(_ text: StaticString) -> Bool {
      guard count == text.utf8CodeUnitCount else { return false }
      for index in 0..<count where byte(index) != text.utf8Start[index] { return false }
      return true
    }

    /// The decimal number, or nil.
    var number: UInt64? {
      guard count > 0 else { return nil }
      var result: UInt64 = 0
      for index in 0..<count {
        let digit = byte(index) &- 0x30
        guard digit < 10 else { return nil }
        result = result &* 10 &+ UInt64(digit)
      }
      return result
    }

    /// The parts between commas.
    func forEachPart(_ body: (Value) -> Void) {
      var begin = 0
      for index in 0...count where index == count || byte(index) == 0x2C {
        body(Value(start: start + UInt64(begin), count: index - begin))
        begin = index + 1
      }
    }
  }

  /// The value behind `key=`, or nil.
  subscript(key: StaticString) -> Value? {
    guard address != 0 else { return nil }
    var position = address
    while true {
      while ring_load8(position) == 0x20 { position += 1 }
      guard ring_load8(position) != 0 else { return nil }
      var end = position
      while ring_load8(end) != 0x20, ring_load8(end) != 0 { end += 1 }
      let word = Value(start: position, count: Int(end - position))
      let length = key.utf8CodeUnitCount
      if word.count > length, word.byte(length) == 0x3D {
        if Value(start: position, count: length).equals(key) {
          return Value(start: position + UInt64(length) + 1, count: word.count - length - 1)
        }
      }
      position = end
    }
  }

  func number(_ key: StaticString, default value: UInt64) -> UInt64 {
    guard let text = self[key] else { return value }
    guard let number = text.number else { fail("not a number on the command line", 0, .usage) }
    return number
  }

  func isSet(_ key: StaticString) -> Bool { number(key, default: 0) != 0 }
}
