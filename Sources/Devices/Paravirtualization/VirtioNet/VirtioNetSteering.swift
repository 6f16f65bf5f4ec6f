import GuestMemory

/// The choice of the queue pair on which a frame is received (VIRTIO 1.2, 5.1.6.5.5, automatic receive steering).
///
/// It is the pair on which the driver last sent packets of the same flow. For a flow without a table entry, the flow's
/// number selects the pair. The table is bounded: a flow gets no entry while a recently used flow occupies its place.
struct VirtioNetSteering: Sendable {
  static let entryCount = 1024
  /// Another flow may take an entry after this many nanoseconds without a packet from the driver.
  static let lifetime: UInt64 = 3_000_000_000

  private struct Entry {
    var flow: UInt32 = 0
    /// 0 for an unused entry.
    var pairPlusOne: UInt32 = 0
    var lastSent: UInt64 = 0
  }

  private var entries: [Entry]

  /// - Parameter isUsed: false for a device with one pair, which needs no table.
  init(isUsed: Bool) { entries = isUsed ? Array(repeating: Entry(), count: Self.entryCount) : [] }

  mutating func forgetAll() { for index in entries.indices { entries[index] = Entry() } }

  /// Records that the driver sent `frame` on `pair` at `now` nanoseconds.
  mutating func learn(_ frame: ScatterList, pair: Int, now: UInt64) {
    let flow = VirtioNetFlow.number(of: frame)
    let index = Int(flow) % Self.entryCount
    guard entries.indices.contains(index) else { return }
    let entry = entries[index]
    guard entry.flow == flow || entry.pairPlusOne == 0 || now &- entry.lastSent >= Self.lifetime else { return }
    entries[index] = Entry(flow: flow, pairPlusOne: UInt32(truncatingIfNeeded: pair + 1), lastSent: now)
  }

  /// The pair for `frame`, from 0 to `count` - 1.
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
