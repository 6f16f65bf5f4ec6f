import Counters

/// A record of one vCPU's exits: accesses per register, and the last few accesses for a crash report.
// Unchecked: its vCPU's thread writes; others read once that thread has ended.
final class ExitLog: @unchecked Sendable {
  /// One access that exited.
  struct Access: Equatable {
    var address: UInt64
    var value: UInt64
    var count: Int
    var isPort: Bool
    var isWrite: Bool
  }

  private static let capacity = 1024
  private static let historyLength = 16
  private let keys: UnsafeMutablePointer<UInt64>
  private let counts: UnsafeMutablePointer<UInt64>
  private(set) var others: UInt64 = 0
  private var history: [Access] = []
  private var position = 0

  init() {
    keys = .allocate(capacity: Self.capacity)
    counts = .allocate(capacity: Self.capacity)
    keys.initialize(repeating: .max, count: Self.capacity)
    counts.initialize(repeating: 0, count: Self.capacity)
    history.reserveCapacity(Self.historyLength)
  }

  deinit {
    keys.deallocate()
    counts.deallocate()
  }

  @inline(__always)
  func record(_ access: Access) {
    let key = access.address &<< 2 | (access.isPort ? 2 : 0) | (access.isWrite ? 1 : 0)
    var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 54)
    // The table does not grow. If a guest uses more addresses than fit, the rest are counted together in `others`.
    var probes = 0
    while keys[slot] != key, keys[slot] != .max, probes < 16 {
      slot = (slot + 1) & (Self.capacity - 1)
      probes += 1
    }
    if keys[slot] == key || keys[slot] == .max {
      keys[slot] = key
      counts[slot] &+= 1
    } else {
      others &+= 1
    }
    if history.count < Self.historyLength {
      history.append(access)
    } else {
      history[position] = access
      position = (position + 1) % Self.historyLength
    }
  }

  /// The last accesses, oldest first.
  var last: [Access] { Array(history[position...] + history[..<position]) }

  /// The number of reads and writes of each register.
  var byRegister: [(address: UInt64, isPort: Bool, isWrite: Bool, count: UInt64)] {
    (0..<Self.capacity).filter { keys[$0] != .max }
      .map { (keys[$0] >> 2, keys[$0] & 2 != 0, keys[$0] & 1 != 0, counts[$0]) }
  }
}
