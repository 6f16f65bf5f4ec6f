import Counters

/// What a guest, or the host in its place, did in one sample, and what it cost.
package struct MeasuredSample: Sendable {
  package var operations: UInt64 = 0
  package var bytes: UInt64 = 0
  package var nanoseconds: UInt64 = 0
  /// Further numbers that the program printed, by name.
  package var values: [String: UInt64] = [:]
  /// Counts of the measured span; nil where nobody counts.
  package var counters: CounterSnapshot?
  package var kernelExits: UInt64?
  package var vCPUSeconds = 0.0
  package var ioSeconds = 0.0
  package var endpointSeconds = 0.0
  package var stealSeconds = 0.0
  package var load = 0.0
  package var drops: [String: UInt64] = [:]
  package init() {}
}

/// A virtual machine, or the host, that runs one program and samples it when asked: swiftlet's Machine, or a peer.
package protocol Sampled: AnyObject {
  /// Takes one sample, and waits for it.
  func sample() throws -> MeasuredSample
  /// Ends it.
  func close()
  /// The command that runs it, for a peer.
  var commandLine: String? { get }
}

extension Sampled {
  package var commandLine: String? { nil }
}
