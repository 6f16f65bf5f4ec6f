import Counters

/// The work of a guest, or of the host in its place, in one sample, and its cost.
package struct MeasuredSample: Sendable, Codable {
  /// Bytes written to a block device.
  package struct DeviceBytes: Sendable, Codable {
    /// When the last flush was reported as complete.
    package var atFlush: UInt64
    /// After the host's page cache was written too.
    package var afterSync: UInt64
  }

  package var operations: UInt64 = 0
  package var bytes: UInt64 = 0
  package var nanoseconds: UInt64 = 0
  /// Further numbers that the program printed, by name.
  package var values: [String: UInt64] = [:]
  /// A measured size in bytes, instead of work.
  package var size: UInt64?
  /// What the block device was given; nil if that is not measured.
  package var deviceBytes: DeviceBytes?
  /// The rate of each VM, if several were sampled at the same time.
  package var rates: [Double] = []
  /// Counts of the measured span; nil if there are none.
  package var counters: CounterSnapshot?
  package var kernelExits: UInt64?
  package var vCPUSeconds = 0.0
  package var ioSeconds = 0.0
  package var endpointSeconds = 0.0
  package var stealSeconds = 0.0
  package var load = 0.0
  package var drops: [String: UInt64] = [:]
  package init() {}

  /// Adds the drops that a place counted after `earlier`.
  mutating func add(drops: [String: UInt64], since earlier: [String: UInt64]) {
    for (place, count) in drops where count > earlier[place] ?? 0 {
      self.drops[place, default: 0] += count - (earlier[place] ?? 0)
    }
  }
}

/// A virtual machine or the host, running one program that can be sampled on demand.
package protocol Sampled: AnyObject {
  /// Takes one sample and waits for it.
  func sample() throws -> MeasuredSample
  /// Ends the program and its machine.
  func close()
  /// The command that runs a peer; nil for others.
  var commandLine: String? { get }
  /// Calls that end a sample early, from any thread. The sample then fails. None if samples are short.
  var interrupters: [@Sendable () -> Void] { get }
}

extension Sampled {
  package var commandLine: String? { nil }
  package var interrupters: [@Sendable () -> Void] { [] }
}
