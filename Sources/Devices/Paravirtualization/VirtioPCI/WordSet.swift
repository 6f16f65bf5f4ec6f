/// A set of numbers from 0 to 63, such as queues or vectors, in one word.
struct WordSet: Sendable {
  static let limit = 64

  private var bits: UInt64 = 0

  /// Inserts `number`. Returns whether it was not in the set before.
  @discardableResult
  mutating func insert(_ number: Int) -> Bool {
    let bit: UInt64 = 1 << UInt64(number)
    defer { bits |= bit }
    return bits & bit == 0
  }

  /// Removes `number`. Returns whether it was in the set.
  mutating func remove(_ number: Int) -> Bool {
    let bit: UInt64 = 1 << UInt64(number)
    defer { bits &= ~bit }
    return bits & bit != 0
  }

  /// Removes and returns the lowest number; nil if the set is empty.
  mutating func popFirst() -> Int? {
    guard bits != 0 else { return nil }
    defer { bits &= bits - 1 }
    return bits.trailingZeroBitCount
  }
}
