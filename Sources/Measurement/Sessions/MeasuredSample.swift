import Counters

/// What a guest, or the host in its place, did in one sample, and what it cost.
public struct MeasuredSample: Sendable {
  public var operations: UInt64 = 0
  public var bytes: UInt64 = 0
  public var nanoseconds: UInt64 = 0
  /// Further numbers that the program printed, by name.
  public var values: [String: UInt64] = [:]
  /// Counts of the measured span; nil where nobody counts.
  public var counters: CounterSnapshot?
  public var kernelExits: UInt64?
  public var vCPUSeconds = 0.0
  public var ioSeconds = 0.0
  public var endpointSeconds = 0.0
  public var stealSeconds = 0.0
  public var load = 0.0
  public var drops: [String: UInt64] = [:]
  public init() {}
}

/// A virtual machine, or the host, that runs one program and samples it when asked: swiftlet's Machine, or a peer.
public protocol Sampled: AnyObject {
  /// Takes one sample, and waits for it.
  func sample() throws -> MeasuredSample
  /// Ends it.
  func close()
}
