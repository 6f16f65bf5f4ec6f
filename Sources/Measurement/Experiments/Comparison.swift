import Counters
import EventLoop
import Failures
import Foundation
import KVM

/// Runs the experiments: each point's sides are set up together and sampled in turn (A B A B), so that what the host does
/// meanwhile falls on all of them alike.
public final class Comparison {
  private let options: ComparisonOptions
  private let system: System
  private let loop: EventLoop
  private let progress: (_ done: Int, _ of: Int, _ title: String) -> Void

  public init(
    _ options: ComparisonOptions, system: System, progress: @escaping (_ done: Int, _ of: Int, _ title: String) -> Void
  ) throws {
    self.options = options
    self.system = system
    self.progress = progress
    loop = try EventLoop(name: "io")
  }

  public func run() throws -> [Record] {
    loop.start()
    defer { loop.stop() }
    let disk = try options.groups.contains(.disk) ? DiskBench(options, system: system, loop: loop) : nil
    defer { disk?.close() }
    var points: [Point] = []
    if options.groups.contains(.cpu) { points += try cpuPoints(options, system: system, loop: loop) }
    if let disk { points += disk.points }
    if options.groups.contains(.net) { points += NetworkBench(options, system: system, loop: loop).points }
    var records: [Record] = []
    for (index, point) in points.enumerated() {
      progress(index, points.count, point.title)
      records += try measure(point)
    }
    progress(points.count, points.count, "done")
    return records
  }

  private func measure(_ point: Point) throws -> [Record] {
    var sampled: [any Sampled] = []
    defer { for one in sampled { one.close() } }
    for side in point.sides { sampled.append(try side.make()) }
    var samples: [[MeasuredSample]] = Array(repeating: [], count: sampled.count)
    // One round to warm caches and rings; it is the only one not kept.
    for one in sampled { _ = try one.sample() }
    for _ in 0..<options.repetitions {
      for (index, one) in sampled.enumerated() { samples[index].append(try one.sample()) }
    }
    return zip(point.sides, samples).map { Record(point, side: $0, samples: $1) }
  }
}

extension Record {
  init(_ point: Point, side: Point.Side, samples: [MeasuredSample]) {
    experiment = point.experiment
    mode = side.mode
    device = side.device
    vmm = side.vmm
    parameters = point.parameters
    let total = Double(samples.reduce(0) { $0 + $1.operations })
    func mean(_ value: (MeasuredSample) -> Double) -> Double {
      samples.reduce(0) { $0 + value($1) } / Double(max(samples.count, 1))
    }
    operations = mean { Double($0.operations) }
    let rates = samples.map { sample -> Double in
      let amount = point.unit == "bytes/s" ? sample.bytes : sample.operations
      return sample.nanoseconds > 0 ? Double(amount) / (Double(sample.nanoseconds) / 1e9) : 0
    }
    if samples.contains(where: { $0.values["p50"] != nil }) {
      latency = Latency(
        p50: mean { Double($0.values["p50"] ?? 0) }, p99: mean { Double($0.values["p99"] ?? 0) },
        p999: mean { Double($0.values["p999"] ?? 0) })
    }
    if latency == nil {
      let statistics = SampleStatistics(rates)
      throughput = Throughput(unit: point.unit, mean: statistics.mean, ci95: statistics.ci95, samples: rates)
    }
    /// A count per operation; nil unless every sample knows it.
    func rate(_ count: (MeasuredSample) -> UInt64?) -> Double? {
      let counts = samples.map(count)
      guard total > 0, !counts.contains(nil) else { return nil }
      return Double(counts.reduce(0) { $0 + ($1 ?? 0) }) / total
    }
    perOperation = PerOperation(
      exits: rate { $0.counters?.exits }, kernelExits: rate { $0.kernelExits },
      doorbells: rate { $0.counters?[.doorbells] },
      coalesced: rate { $0.counters?[.coalescedWrites] },
      interrupts: rate { $0.counters?[.interrupts] },
      bytesCopied: rate { $0.counters?[.bytesCopied] })
    cpuSeconds = CPUSeconds(
      vCPU: mean { $0.vCPUSeconds }, io: mean { $0.ioSeconds }, endpoint: mean { $0.endpointSeconds },
      steal: mean { $0.stealSeconds })
    drops = samples.reduce(into: [:]) { sum, sample in sum.merge(sample.drops, uniquingKeysWith: +) }
    load = samples.map(\.load)
  }
}
