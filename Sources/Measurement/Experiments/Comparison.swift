import Counters
import EventLoop
import Failures
import Foundation
import KVM

/// Runs the experiments of `swiftlet compare`.
package final class Comparison {
  private let options: ComparisonOptions
  private let system: System
  private let loop: EventLoop
  private let interruption: Interruption
  private let progress: (_ done: Int, _ of: Int, _ title: String) -> Void

  package init(
    _ options: ComparisonOptions, system: System, interruption: Interruption = Interruption(),
    progress: @escaping (_ done: Int, _ of: Int, _ title: String) -> Void
  ) throws {
    self.options = options
    self.system = system
    self.interruption = interruption
    self.progress = progress
    loop = try EventLoop(name: "io")
  }

  /// The peer's version; nil without a peer.
  package private(set) var peerVersion: String?
  /// Why the peer's rows are missing; nil if they are not.
  package private(set) var peerFailure: Failure?
  /// Why the peer's network rows are missing; nil if they are not.
  package private(set) var peerNetworkFailure: Failure?

  package func run() throws -> [Record] {
    loop.start()
    defer { loop.stop() }
    let disk = try options.groups.contains(.disk) ? DiskBench(options, system: system, loop: loop) : nil
    defer { disk?.close() }
    let network = options.groups.contains(.net) ? NetworkBench(options, system: system, loop: loop) : nil
    let points = try options.ablates ? (disk?.ablations ?? []) + (network?.ablations ?? []) : points(disk, network)
    var records: [Record] = []
    for (index, point) in points.enumerated() {
      progress(index, points.count, point.title)
      records += try measure(point)
    }
    progress(points.count, points.count, "done")
    return records
  }

  func points(_ disk: DiskBench?, _ network: NetworkBench?) throws -> [Point] {
    var points: [Point] = []
    if options.groups.contains(.cpu) { points += try CPUBench(options, system: system, loop: loop).points }
    let peer = try options.peer.flatMap(findPeer)
    if let disk { points += disk.points + (peer.map { disk.points(beside: $0) } ?? []) }
    if let network { points += network.points + (peer.map { peerPoints(network, $0) } ?? []) }
    if options.groups.contains(.process) { points += try processPoints(options, peer: peer) }
    if options.groups.contains(.hpcc) { points += HPCCBench(options, system: system, loop: loop).points }
    if disk != nil || network != nil { points.append(exitCostPoint(options, system: system, loop: loop)) }
    // The model is checked on a machine with all accelerations.
    guard options.profile == nil else { return points }
    return points + (disk?.exitModels ?? []) + (network?.exitModels ?? [])
  }

  /// The network rows of the peer; none if taps are not allowed here.
  private func peerPoints(_ network: NetworkBench, _ peer: Peer) -> [Point] {
    peerNetworkFailure = TapNetwork.refusal(unshare: options.unshare)
    return peerNetworkFailure == nil ? network.points(beside: peer) : []
  }

  /// Finds the peer; nil if it is not installed. The rest is then measured without it.
  private func findPeer(_ path: String) throws(Failure) -> Peer? {
    let program: QEMUProgram
    do {
      program = try QEMUProgram(path: path)
    } catch {
      peerFailure = error
      return nil
    }
    peerVersion = program.version
    return try Peer(program, folder: options.directory)
  }

  private func measure(_ point: Point) throws -> [Record] {
    var outcomes = point.sides.map { _ in SideOutcome() }
    try PointSampler(repetitions: options.repetitions, loop: loop, interruption: interruption)
      .measure(point, into: &outcomes)
    return zip(point.sides, outcomes).map { Record(point, side: $0, outcome: $1) }
  }
}
