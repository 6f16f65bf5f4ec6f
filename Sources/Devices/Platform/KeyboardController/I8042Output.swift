import Registers

/// The 8042's output buffer of one byte, and at most one waiting byte of each source.
///
/// Owned by the controller and guarded by its lock.
struct I8042Output {
  /// The source of a byte, in order of priority for the buffer.
  enum Source: Int, CaseIterable { case controller, keyboard, auxiliary }

  struct Entry {
    var byte: UInt8
    var source: Source
    var isTimeOut = false

    /// The bits of the status register that describe the entry.
    var status: UInt8 {
      I8042Status.outputBufferFull | (source == .auxiliary ? I8042Status.auxiliaryData : 0)
        | (isTimeOut ? I8042Status.timeOut : 0)
    }
  }

  /// The byte in the buffer, which the next read of port 0x60 returns.
  private(set) var present: Entry?
  private var waiting: [Entry?] = Array(repeating: nil, count: Source.allCases.count)
  /// The last byte read. A read of an empty buffer returns it again.
  private var last: UInt8 = 0

  /// Puts `entry` into the buffer. If the buffer is full, `entry` waits, and replaces an older one of its source.
  mutating func put(_ entry: Entry) {
    if present == nil { present = entry } else { waiting[entry.source.rawValue] = entry }
  }

  /// Returns the byte in the buffer and empties the buffer. `refill` then moves a waiting byte into it.
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
