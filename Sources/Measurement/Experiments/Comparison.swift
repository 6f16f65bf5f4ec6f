import Counters
import EventLoop
import Failures
import Foundation
import KVM

/// Runs the experiments.
///
/// The sides of a point are set up together and sampled in turn (A B A B), so that other load on the host affects all
/// of them equally.
package final class Comparison {
  private let options: ComparisonOptions
  private let system: System
  private let loop: EventLoop
  private let progress: (_ done: Int, _ of: Int, _ title: String) -> Void

  package init(
    _ options: ComparisonOptions, system: System, progress: @escaping (_ done: Int, _ of: Int, _ title: String) -> Void
  ) throws {
    self.options = options
    self.system = system
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
    if options.groups.contains(.cpu) { points += try cpuPoints(options, system: system, loop: loop) }
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
    do {
      // A tap shows that the rest will work.
      close(try TapNetwork(unshare: options.unshare).descriptor("tap0"))
      return network.points(beside: peer)
    } catch {
      peerNetworkFailure = error
      return []
    }
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
    // One vCPU and the loop. With fewer processors, polling would keep the guest from running.
    let hasRoom = ProcessInfo.processInfo.activeProcessorCount > 1
    loop.pollLimit = point.polls && hasRoom ? EventLoop.usualPollLimit : 0
    var sampled: [any Sampled] = []
    defer { for one in sampled { one.close() } }
    for side in point.sides { try explained(point, side) { sampled.append(try side.make()) } }
    var samples: [[MeasuredSample]] = Array(repeating: [], count: sampled.count)
    // The first sample of each side warms caches and rings, and is dropped.
    for round in 0...options.repetitions {
      for (index, side) in point.sides.enumerated() {
        try explained(point, side) {
          let sample = try sampled[index].sample()
          if round > 0 { samples[index].append(sample) }
        }
      }
    }
    return zip(point.sides, zip(sampled, samples)).map { side, measured in
      var record = Record(point, side: side, samples: measured.1)
      record.commandLine = measured.0.commandLine
      return record
    }
  }

  /// Adds the row and the side that failed to an error.
  private func explained(_ point: Point, _ side: Point.Side, _ body: () throws -> Void) throws {
    do {
      try body()
    } catch let failure as Failure {
      throw Failure(
        "measure \(point.title), with \(side.vmm == "none" ? "the host" : side.vmm): \(failure.action)",
        cause: failure.cause, fix: failure.fix)
    }
  }
}
