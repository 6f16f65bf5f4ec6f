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

  private func points(_ disk: DiskBench?, _ network: NetworkBench?) throws -> [Point] {
    var points: [Point] = []
    if options.groups.contains(.cpu) { points += try cpuPoints(options, system: system, loop: loop) }
    let peer = try options.peer.flatMap(findPeer)
    if let disk { points += disk.points + (peer.map { disk.points(beside: $0) } ?? []) }
    return points + (network?.points ?? [])
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
    for side in point.sides { sampled.append(try side.make()) }
    var samples: [[MeasuredSample]] = Array(repeating: [], count: sampled.count)
    // Take one sample of each side to warm caches and rings, and drop it.
    for one in sampled { _ = try one.sample() }
    for _ in 0..<options.repetitions {
      for (index, one) in sampled.enumerated() { samples[index].append(try one.sample()) }
    }
    return zip(point.sides, zip(sampled, samples)).map { side, measured in
      var record = Record(point, side: side, samples: measured.1)
      record.commandLine = measured.0.commandLine
      return record
    }
  }
}
