import Testing

/// The name of a test case is its script's name.
extension Script: CustomTestStringConvertible {
  var testDescription: String { name }
}

/// The text of a script in a failure: one line per step, in hexadecimal.
extension Script: CustomStringConvertible {
  var description: String { ([name] + steps.map { "  \($0)" }).joined(separator: "\n") }
}

extension Step: CustomStringConvertible {
  var description: String {
    switch self {
    case .write(let space, let address, let width, let value):
      return "\(space) \(hex(address)) <- \(hex(value)) (\(width))"
    case .read(let space, let address, let width, let mask, _):
      return "\(space) \(hex(address)) -> ? (\(width))\(mask == ~0 ? "" : " mask \(hex(mask))")"
    case .readWords(let port, let count, _): return "rep insw \(hex(port)), \(count)"
    case .writeWords(let port, let bytes): return "rep outsw \(hex(port)), \(bytes.count / 2)"
    case .store(let address, let bytes): return "store \(hex(address)) \(shortened(bytes))"
    case .load(let address, let count, _): return "load \(hex(address)), \(count)"
    case .settle(let ticks): return "settle \(ticks)"
    case .level(let interrupt, _): return "level of IRQ \(interrupt)"
    case .receive(let frame): return "receive \(shortened(frame))"
    case .sent: return "frames sent"
    case .disk(let channel, let drive, let sector, let count, _):
      return "disk \(channel).\(drive) sector \(sector), \(count) bytes"
    }
  }
}

extension Observation: CustomStringConvertible {
  var description: String {
    switch self {
    case .value(let value): return hex(value)
    case .bytes(let bytes): return shortened(bytes)
    case .frames(let frames): return "\(frames.count) frames \(frames.map { shortened($0, 256) })"
    }
  }
}

func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// Bytes as hexadecimal digits, truncated to `most` bytes.
func shortened(_ bytes: [UInt8], _ most: Int = 128) -> String {
  let digits = bytes.prefix(most).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  return "[\(bytes.count)] \(digits)\(bytes.count > most ? "..." : "")"
}
