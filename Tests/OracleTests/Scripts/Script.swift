/// The address space of an access.
enum Space: String, Sendable { case port, memory }

/// The part of an observation that may differ, and the table entry that gives the reason.
struct Tolerance: Equatable, Sendable {
  var difference: KnownDifference
  /// The bits of a value that may differ. Bytes and frames may differ anywhere.
  var bits: UInt64 = ~0
  /// Whether the difference must show: true in written scripts. Generated scripts cannot know.
  var isCertain = true
}

/// One action of a driver. Both machines play it, and steps that observe something yield one `Observation` each.
enum Step: Equatable, Sendable {
  case write(Space, UInt64, width: Int, UInt64)
  /// Reads a register. Only the bits in `mask` are compared.
  case read(Space, UInt64, width: Int, mask: UInt64 = ~0, Tolerance? = nil)
  /// `rep insw` from a port, and `rep outsw` to it.
  case readWords(UInt64, count: Int, Tolerance? = nil)
  case writeWords(UInt64, [UInt8])
  /// Puts bytes in guest memory.
  case store(UInt64, [UInt8])
  /// Reads guest memory.
  case load(UInt64, count: Int, Tolerance? = nil)
  /// Lets both devices finish their work. 55 ms of guest time pass for each tick.
  case settle(ticks: Int = 1)
  /// Samples the level of an ISA interrupt.
  case level(Int, Tolerance? = nil)
  /// A frame arrives from the network.
  case receive([UInt8])
  /// The frames that left for the network since the last such step.
  case sent(Tolerance? = nil)
  /// Bytes of the disk at `channel` and `drive`.
  case disk(channel: Int, drive: Int, sector: UInt64, count: Int, Tolerance? = nil)

  var tolerance: Tolerance? {
    switch self {
    case .read(_, _, _, _, let tolerance), .readWords(_, _, let tolerance), .load(_, _, let tolerance),
      .level(_, let tolerance), .sent(let tolerance), .disk(_, _, _, _, let tolerance):
      return tolerance
    case .write, .writeWords, .store, .settle, .receive: return nil
    }
  }

  /// Whether the step yields an observation.
  var observes: Bool {
    switch self {
    case .read, .readWords, .load, .level, .sent, .disk: return true
    case .write, .writeWords, .store, .settle, .receive: return false
    }
  }
}

/// The result of a step.
enum Observation: Equatable, Sendable {
  case value(UInt64)
  case bytes([UInt8])
  case frames([[UInt8]])
}

/// The actions of a driver from power-on.
struct Script: Sendable {
  var name: String
  var steps: [Step] = []

  init(_ name: String) { self.name = name }

  // MARK: Ports

  mutating func outb(_ port: UInt64, _ value: UInt8) { steps.append(.write(.port, port, width: 1, UInt64(value))) }
  mutating func outw(_ port: UInt64, _ value: UInt16) { steps.append(.write(.port, port, width: 2, UInt64(value))) }
  mutating func outl(_ port: UInt64, _ value: UInt32) { steps.append(.write(.port, port, width: 4, UInt64(value))) }

  mutating func inb(_ port: UInt64, mask: UInt64 = ~0, _ known: KnownDifference? = nil, bits: UInt64 = ~0) {
    steps.append(.read(.port, port, width: 1, mask: mask, known.map { Tolerance(difference: $0, bits: bits) }))
  }
  mutating func inw(_ port: UInt64, mask: UInt64 = ~0, _ known: KnownDifference? = nil, bits: UInt64 = ~0) {
    steps.append(.read(.port, port, width: 2, mask: mask, known.map { Tolerance(difference: $0, bits: bits) }))
  }
  mutating func inl(_ port: UInt64, mask: UInt64 = ~0, _ known: KnownDifference? = nil, bits: UInt64 = ~0) {
    steps.append(.read(.port, port, width: 4, mask: mask, known.map { Tolerance(difference: $0, bits: bits) }))
  }

  // MARK: Memory

  mutating func outMemory(_ address: UInt64, _ value: UInt32) {
    steps.append(.write(.memory, address, width: 4, UInt64(value)))
  }
  mutating func inMemory(_ address: UInt64, mask: UInt64 = ~0, _ known: KnownDifference? = nil, bits: UInt64 = ~0) {
    steps.append(.read(.memory, address, width: 4, mask: mask, known.map { Tolerance(difference: $0, bits: bits) }))
  }

  mutating func store(_ address: UInt64, _ bytes: [UInt8]) { steps.append(.store(address, bytes)) }
  mutating func load(_ address: UInt64, count: Int, _ known: KnownDifference? = nil) {
    steps.append(.load(address, count: count, known.map { Tolerance(difference: $0) }))
  }

  // MARK: Everything else

  mutating func settle(ticks: Int = 1) { steps.append(.settle(ticks: ticks)) }
  mutating func level(_ interrupt: Int, _ known: KnownDifference? = nil) {
    steps.append(.level(interrupt, known.map { Tolerance(difference: $0) }))
  }
  mutating func receive(_ frame: [UInt8]) { steps.append(.receive(frame)) }
  mutating func sent(_ known: KnownDifference? = nil) { steps.append(.sent(known.map { Tolerance(difference: $0) })) }
  mutating func disk(_ channel: Int, _ drive: Int, sector: UInt64, count: Int, _ known: KnownDifference? = nil) {
    steps.append(
      .disk(
        channel: channel, drive: drive, sector: sector, count: count, known.map { Tolerance(difference: $0) }))
  }
}

/// The `count` bytes of `value`, the lowest first.
func littleEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
}

extension Script {
  /// Adds steps in which a known difference may show, for generated scripts.
  mutating func may(_ difference: KnownDifference, bits: UInt64 = ~0, _ body: (inout Script) -> Void) {
    let tolerance = Tolerance(difference: difference, bits: bits, isCertain: false)
    let first = steps.count
    body(&self)
    for index in first..<steps.count { steps[index] = steps[index].tolerating(tolerance) }
  }
}

extension Step {
  fileprivate func tolerating(_ tolerance: Tolerance) -> Step {
    switch self {
    case .read(let space, let address, let width, let mask, nil):
      return .read(space, address, width: width, mask: mask, tolerance)
    case .level(let interrupt, nil): return .level(interrupt, tolerance)
    case .load(let address, let count, nil): return .load(address, count: count, tolerance)
    case .sent(nil): return .sent(tolerance)
    default: return self
    }
  }
}
