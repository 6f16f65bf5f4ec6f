import ArgumentParser
import Failures

/// An option of the form `key=value,key=value`. Only known keys are accepted.
struct KeyValueOption {
  let option: String
  let text: String
  private var values: [String: String] = [:]

  init(_ text: String, option: String, keys: [String]) throws(Failure) {
    self.option = option
    self.text = text
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2, keys.contains(String(pair[0])) else {
        throw Failure(
          "read \(option) \(text)", cause: "'\(part)' is not one of its settings",
          fix: "Its settings are \(keys.map { "\($0)=…" }.joined(separator: ",")).")
      }
      guard values.updateValue(String(pair[1]), forKey: String(pair[0])) == nil else {
        throw Failure("read \(option) \(text)", cause: "'\(pair[0])' appears twice", fix: "Use it once.")
      }
    }
  }

  subscript(key: String) -> String? { values[key] }

  func required(_ key: String) throws(Failure) -> String {
    guard let value = values[key], !value.isEmpty else {
      throw Failure("read \(option) \(text)", cause: "\(key)= is missing", fix: "Add \(key)=….")
    }
    return value
  }

  /// The value of `key` as a number in `range`; nil if the key is absent.
  func number(_ key: String, in range: ClosedRange<Int>) throws(Failure) -> Int? {
    guard let value = values[key] else { return nil }
    guard let number = Int(value), range.contains(number) else {
      throw Failure(
        "read \(option) \(text)",
        cause: "\(key)=\(value) is not a number from \(range.lowerBound) to \(range.upperBound)",
        fix: "Use a number in that range.")
    }
    return number
  }

  /// The value of `key` as a number of bytes, such as `100M`; nil if the key is absent.
  func size(_ key: String) throws(Failure) -> UInt64? {
    guard let value = values[key] else { return nil }
    guard let size = ByteCount(argument: value) else {
      throw Failure(
        "read \(option) \(text)", cause: "\(key)=\(value) is not a number of bytes", fix: "Use one such as 100M.")
    }
    return UInt64(size.bytes)
  }

  /// The value of `key` as a case of `Choice`; `fallback` if the key is absent.
  func choice<Choice: RawRepresentable & CaseIterable>(
    _ key: String, default fallback: Choice
  ) throws(Failure) -> Choice where Choice.RawValue == String {
    guard let value = values[key] else { return fallback }
    guard let choice = Choice(rawValue: value) else {
      let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw Failure("read \(option) \(text)", cause: "\(key)=\(value) is unknown", fix: "Use one of: \(known).")
    }
    return choice
  }
}
