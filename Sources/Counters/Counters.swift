import CLinux

/// The counts of one owner: a vCPU thread, an event loop, or a device under its lock.
///
/// Only the owner adds, so no lock or atomic read-modify-write is needed. Any thread may read.
// Unchecked: only the owner writes `fields`, with relaxed stores that any thread may read.
public final class Counters: @unchecked Sendable {
  public let owner: String
  private let fields: UnsafeMutablePointer<UInt64>

  public init(owner: String) {
    self.owner = owner
    fields = .allocate(capacity: Counter.allCases.count)
    fields.initialize(repeating: 0, count: Counter.allCases.count)
  }

  deinit { fields.deallocate() }

  public subscript(counter: Counter) -> UInt64 { clinux_load_relaxed_u64(fields + counter.rawValue) }

  @inline(__always)
  public func add(_ counter: Counter, _ amount: Int = 1) {
    let field = fields + counter.rawValue
    clinux_store_relaxed_u64(field, field.pointee &+ UInt64(truncatingIfNeeded: amount))
  }
}

/// A snapshot of the summed counts of several owners.
public struct CounterSnapshot: Sendable, Equatable {
  private var values: [UInt64]

  public init() { values = Array(repeating: 0, count: Counter.allCases.count) }

  public init(summing owners: [Counters]) {
    self.init()
    for owner in owners { for counter in Counter.allCases { values[counter.rawValue] &+= owner[counter] } }
  }

  /// The sum of several snapshots.
  public init(adding snapshots: [CounterSnapshot]) {
    self.init()
    for snapshot in snapshots { for index in values.indices { values[index] &+= snapshot.values[index] } }
  }

  public subscript(counter: Counter) -> UInt64 { values[counter.rawValue] }

  /// Subtracts the measurement's own share from a count, down to zero at most.
  public mutating func subtract(_ counter: Counter, _ amount: UInt64) {
    values[counter.rawValue] -= min(amount, values[counter.rawValue])
  }

  /// Returns from KVM_RUN for any reason.
  public var exits: UInt64 {
    self[.exitsPortIO] &+ self[.exitsMMIO] &+ self[.exitsHalt] &+ self[.exitsInterrupted] &+ self[.exitsOther]
  }

  /// The difference between this snapshot and `earlier`.
  public func since(_ earlier: CounterSnapshot) -> CounterSnapshot {
    var difference = self
    for index in values.indices { difference.values[index] = values[index] &- earlier.values[index] }
    return difference
  }
}

/// A snapshot as an object in JSON, with the counts that are not zero, by name.
extension CounterSnapshot: Codable {
  public init(from decoder: any Decoder) throws {
    self.init()
    let counts = try [String: UInt64](from: decoder)
    for counter in Counter.allCases { values[counter.rawValue] = counts[counter.name] ?? 0 }
  }

  public func encode(to encoder: any Encoder) throws {
    let counts = Counter.allCases.filter { self[$0] > 0 }.map { ($0.name, self[$0]) }
    try [String: UInt64](uniqueKeysWithValues: counts).encode(to: encoder)
  }
}
