import GuestMemory

/// On which pair of queues a frame is received (VIRTIO 1.2, 5.1.6.5.5, automatic receive steering): the one on which
/// the driver last sent packets of the same flow, and for a flow that it never sent on, one by the flow's number.
///
/// Bounded: a flow that finds its place in the table taken by another, which was sent on lately, goes by number.
struct VirtioNetSteering: Sendable {
  static let entryCount = 1024
  /// A flow that was not sent on for so many nanoseconds gives its place to another.
  static let lifetime: UInt64 = 3_000_000_000

  private struct Entry {
    var flow: UInt32 = 0
    /// 0 for an entry not in use.
    var pairPlusOne: UInt32 = 0
    var lastSent: UInt64 = 0
  }

  private var entries: [Entry]

  /// - Parameter isUsed: false for a device with one pair, which needs no table.
  init(isUsed: Bool) { entries = isUsed ? Array(repeating: Entry(), count: Self.entryCount) : [] }

  mutating func forgetAll() { for index in entries.indices { entries[index] = Entry() } }

  /// The driver sent `frame` on `pair` at `now` nanoseconds.
  mutating func learn(_ frame: ScatterList, pair: Int, now: UInt64) {
    let flow = VirtioNetFlow.number(of: frame)
    let index = Int(flow) % Self.entryCount
    guard entries.indices.contains(index) else { return }
    let entry = entries[index]
    guard entry.flow == flow || entry.pairPlusOne == 0 || now &- entry.lastSent >= Self.lifetime else { return }
    entries[index] = Entry(flow: flow, pairPlusOne: UInt32(truncatingIfNeeded: pair + 1), lastSent: now)
  }

  /// The pair below `count` for `frame`.
  func pair(for frame: ScatterList, of count: Int) -> Int {
    let flow = VirtioNetFlow.number(of: frame)
    let index = Int(flow) % Self.entryCount
    if entries.indices.contains(index) {
      let entry = entries[index]
      if entry.flow == flow, entry.pairPlusOne > 0, entry.pairPlusOne <= count { return Int(entry.pairPlusOne) - 1 }
    }
    return Int((UInt64(flow) * UInt64(count)) >> 32)
  }
}
