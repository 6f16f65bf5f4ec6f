/// The changes that a power loss may undo: submitted, and not known to be durable.
///
/// A change becomes durable when a flush succeeds that was submitted after the change had completed (VIRTIO 1.2,
/// 5.2.6.2; FLUSH CACHE, ATA/ATAPI-6, 8.12). A durable write (FUA) becomes durable when it completes. Changes of one
/// sector take effect in the order of submission. A discard counts as zeroes. A change that failed stays here, because
/// it may have reached any of its sectors.
struct PendingWrites {
  /// A range that a change covers, or the part of it that later changes left.
  struct Range: Equatable {
    var number: UInt64
    var offset: UInt64
    var length: UInt64
    /// Where the bytes are in the log; nil for zeroes.
    var data: UInt64?
    var isDurable = false
    /// The index of the entry that completed it with success.
    var ended: Int?

    var end: UInt64 { offset + length }

    /// The part from `lower` to `upper`; nil if it is empty.
    func part(_ lower: UInt64, _ upper: UInt64) -> Range? {
      guard lower < upper else { return nil }
      var part = self
      part.offset = lower
      part.length = upper - lower
      part.data = data.map { $0 + (lower - offset) }
      return part
    }

    func without(_ other: Range) -> [Range] {
      guard offset < other.end, other.offset < end else { return [self] }
      return [part(offset, min(end, other.offset)), part(max(offset, other.end), end)].compactMap { $0 }
    }
  }

  /// In the order of submission.
  private(set) var ranges: [Range] = []
  /// For each flush in flight, the index of the entry that submitted it.
  private var flushes: [UInt64: Int] = [:]

  /// Applies entry `index`. Returns the ranges that it made durable, in order.
  mutating func apply(_ entry: StorageLogEntry, at index: Int) -> [Range] {
    switch (entry.kind, entry.operation) {
    case (.submitted, .flush): flushes[entry.number] = index
    case (.submitted, _):
      ranges.append(
        Range(
          number: entry.number, offset: entry.offset, length: entry.length,
          data: entry.operation == .write ? entry.dataPosition : nil, isDurable: entry.isDurable))
    case (.completed, .flush):
      guard let submitted = flushes.removeValue(forKey: entry.number), entry.result == 0 else { return [] }
      return takeDurable { $0.ended.map { $0 < submitted } ?? false }
    case (.completed, _):
      guard entry.result == 0 else { return [] }
      var isDurable = false
      // The newest changes are the likeliest to complete.
      for place in ranges.indices.reversed() {
        if ranges[place].number < entry.number { break }
        guard ranges[place].number == entry.number else { continue }
        ranges[place].ended = index
        isDurable = ranges[place].isDurable
      }
      if isDurable { return takeDurable { $0.number == entry.number } }
    }
    return []
  }

  /// Removes the durable ranges, and the parts of older ranges that they overwrote.
  private mutating func takeDurable(_ isDurable: (Range) -> Bool) -> [Range] {
    var durable: [Range] = []
    var left: [Range] = []
    for range in ranges {
      if isDurable(range) { durable.append(range) } else { left.append(range) }
    }
    for range in durable where (left.first?.number ?? .max) < range.number {
      left = left.flatMap { $0.number < range.number ? $0.without(range) : [$0] }
    }
    ranges = left
    return durable
  }
}
