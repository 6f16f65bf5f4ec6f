import Registers

/// The 8042's output buffer of one byte, and behind it at most one byte of each source that waits for it to be read.
///
/// Owned by the controller and guarded by its lock.
struct I8042Output {
  /// Who gave a byte, in the order in which they get the buffer.
  enum Source: Int, CaseIterable { case controller, keyboard, auxiliary }

  struct Entry {
    var byte: UInt8
    var source: Source
    var isTimeOut = false

    /// What the status register says of it.
    var status: UInt8 {
      I8042Status.outputBufferFull | (source == .auxiliary ? I8042Status.auxiliaryData : 0)
        | (isTimeOut ? I8042Status.timeOut : 0)
    }
  }

  /// The byte a read of port 0x60 takes.
  private(set) var present: Entry?
  private var waiting: [Entry?] = Array(repeating: nil, count: Source.allCases.count)
  /// What a read of an empty buffer shows: the byte before.
  private var last: UInt8 = 0

  /// Puts `entry` into the buffer, or behind it in place of an older one of its source.
  mutating func put(_ entry: Entry) {
    if present == nil { present = entry } else { waiting[entry.source.rawValue] = entry }
  }

  /// Empties the buffer; `refill` then brings up what waited.
  mutating func take() -> UInt8 {
    if let present { last = present.byte }
    present = nil
    return last
  }

  mutating func refill() {
    guard present == nil, let next = waiting.firstIndex(where: { $0 != nil }) else { return }
    present = waiting[next]
    waiting[next] = nil
  }
}
