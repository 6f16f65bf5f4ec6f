import CGuest

/// Round-trip times of one sample, and their percentiles.
final class Latencies {
  private static var capacity: Int { 1 << 16 }
  private let values: UnsafeMutablePointer<UInt32>
  private var count = 0

  init() {
    values = UnsafeMutablePointer<UInt32>(bitPattern: UInt(Heap.allocate(4 * Self.capacity))).unsafelyUnwrapped
  }

  func removeAll() { count = 0 }

  func append(_ nanoseconds: UInt64) {
    guard count < Self.capacity else { return }
    values[count] = UInt32(truncatingIfNeeded: min(nanoseconds, UInt64(UInt32.max)))
    count += 1
  }

  /// Adds the median, the 99th and the 99.9th percentile to a line.
  func report(_ line: inout JSONLine) {
    guard count > 0 else { return }
    sort()
    line.add("p50", percentile(500))
    line.add("p99", percentile(990))
    line.add("p999", percentile(999))
  }

  private func percentile(_ perMille: Int) -> UInt64 { UInt64(values[min(count - 1, count * perMille / 1000)]) }

  /// Shell's sort: short, in place, and fast enough for this many.
  private func sort() {
    var gap = count / 2
    while gap > 0 {
      for index in gap..<count {
        let value = values[index]
        var place = index
        while place >= gap, values[place - gap] > value {
          values[place] = values[place - gap]
          place -= gap
        }
        values[place] = value
      }
      gap /= 2
    }
  }
}
