import Backends
import EventLoop
import Failures
import Glibc
import KVM

/// The points of one experiment, and what they share.
struct ExperimentPlan {
  var points: [Point]
  /// What is left out on this host, and why; nil if nothing is.
  var note: String?
  var close: () -> Void = {}
}

/// Chooses the points of each experiment.
struct ReproductionPlanner {
  private static let diskMemory: UInt64 = 128 << 20
  private static let networkMemory: UInt64 = 64 << 20
  /// Four sides with up to four ranks, whose arrays take 192 MiB together.
  private static let clusterMemory: UInt64 = 1 << 30
  private static let fairVMs = 4

  let options: ReproductionOptions
  let room: HostRoom
  let system: System
  let loop: EventLoop

  /// - Throws: `Failure` if this host has no room for the experiment.
  func plan(_ experiment: ReproductionOptions.Experiment) throws -> ExperimentPlan {
    if let refusal = need(experiment).refusal(room) { throw refusal }
    return switch experiment {
    case .cpu: try processors()
    case .diskWrite: try diskWrites()
    case .diskAmplification: try amplification()
    case .netInterVM, .netRemote, .netScale: network(experiment)
    case .hpccTranspose, .hpccStream, .hpccLatency, .hpccBandwidth, .hpccLinpack: cluster(experiment)
    case .fairness: try fairness()
    }
  }

  /// The most that its guests take at a time, and its disks.
  private func need(_ experiment: ReproductionOptions.Experiment) -> HostNeed {
    let count = UInt64(options.vmCounts.max() ?? 1)
    switch experiment {
    case .cpu: return HostNeed(memory: Self.networkMemory * UInt64(1 + (options.cpuCounts.max() ?? 1)))
    case .diskWrite: return HostNeed(memory: 4 * Self.diskMemory, disk: UInt64(4 * options.diskSpan))
    case .diskAmplification: return HostNeed(memory: 2 * Self.diskMemory, disk: UInt64(3 * options.amplificationSpan))
    case .netInterVM, .netRemote: return HostNeed(memory: 4 * Self.networkMemory)
    case .hpccTranspose, .hpccStream, .hpccLatency, .hpccBandwidth, .hpccLinpack:
      return HostNeed(memory: Self.clusterMemory)
    case .netScale: return HostNeed(memory: 2 * count * Self.networkMemory)
    case .fairness:
      return HostNeed(
        memory: 2 * UInt64(Self.fairVMs) * Self.diskMemory, disk: UInt64(Self.fairVMs * options.diskSpan))
    }
  }

  private func processors() throws -> ExperimentPlan {
    let bench = try CPUBench(options.bench(duration: options.duration), system: system, loop: loop)
    return ExperimentPlan(points: options.cpuCounts.map(bench.oneVM) + options.cpuCounts.map(bench.manyVMs))
  }

  private func diskWrites() throws -> ExperimentPlan {
    try disks(
      [.none, .writeback, .writethrough, .unsafe], duration: options.duration, span: options.diskSpan
    ) { bench in
      let isDirect = bench.cache == .none
      return bench.sweep(isDirect ? options.blocks : options.cachedBlocks, with2009: isDirect ? 65_536 : nil)
    }
  }

  private func amplification() throws -> ExperimentPlan {
    let duration = min(options.duration, ReproductionOptions.amplificationDuration)
    return try disks([.none, .writeback, .unsafe], duration: duration, span: options.amplificationSpan) {
      [try $0.amplification()]
    }
  }

  /// The points of one bench for each cache mode. A file system without O_DIRECT costs only the rows that need it.
  private func disks(
    _ modes: [StorageCacheMode], duration: UInt64, span: Int, _ points: (DiskBench) throws -> [Point]
  ) throws -> ExperimentPlan {
    var plan = ExperimentPlan(points: [])
    var benches: [DiskBench] = []
    do {
      for mode in modes {
        do {
          let bench = try DiskBench(
            options.bench(duration: duration, diskSpan: span), cache: mode, system: system, loop: loop)
          benches.append(bench)
          plan.points += try points(bench)
        } catch let failure as Failure where mode == .none {
          plan.note = "\(failure)"
        }
      }
    } catch {
      for bench in benches { bench.close() }
      throw error
    }
    plan.close = { for bench in benches { bench.close() } }
    return plan
  }

  private func network(_ experiment: ReproductionOptions.Experiment) -> ExperimentPlan {
    let bench = NetworkBench(options.bench(duration: options.networkDuration), system: system, loop: loop)
    let refusal = TapNetwork.refusal(unshare: options.unshare)
    let hasTaps = refusal == nil
    let points =
      switch experiment {
      case .netScale: bench.remoteScalePoints(options.vmCounts, processes: hasTaps ? options.processCounts : [])
      case .netRemote: bench.remotePoints(options.frames, taps: hasTaps)
      default: bench.pairPoints(options.frames, taps: hasTaps)
      }
    return ExperimentPlan(points: points, note: refusal.map { "without its rows over taps: \($0)" })
  }

  /// The kernels after HPCC.
  private func cluster(_ experiment: ReproductionOptions.Experiment) -> ExperimentPlan {
    let bench = HPCCBench(options.bench(duration: options.duration), system: system, loop: loop)
    return ExperimentPlan(
      points: bench.points(options.rankCounts).filter { $0.experiment.rawValue == experiment.rawValue })
  }

  /// Four VMs at a time: their disks, processors and networks.
  private func fairness() throws -> ExperimentPlan {
    let disk = try DiskFairness(
      options.bench(duration: options.duration, diskSpan: options.diskSpan), vms: Self.fairVMs, system: system,
      loop: loop)
    var points = [disk.point]
    // These are also points of their own experiments.
    if !options.experiments.contains(.cpu) {
      points.append(
        try CPUBench(options.bench(duration: options.duration), system: system, loop: loop).manyVMs(Self.fairVMs))
    }
    if !options.experiments.contains(.netScale) {
      let network = NetworkBench(options.bench(duration: options.networkDuration), system: system, loop: loop)
      points += network.remoteScalePoints([Self.fairVMs], processes: [])
    }
    return ExperimentPlan(points: points, close: { disk.close() })
  }
}
