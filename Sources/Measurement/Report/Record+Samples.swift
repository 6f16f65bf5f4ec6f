import Counters

/// Computes a record from samples: means, intervals, and counts per operation.
extension Record {
  /// The unit of bytes that reached the device for each byte written.
  static let amplification = "bytes per byte"

  init(_ point: Point, side: Point.Side, outcome: SideOutcome) {
    let samples = outcome.samples
    commandLine = outcome.commandLine
    experiment = point.experiment
    mode = side.mode
    device = side.device
    vmm = side.vmm
    parameters = point.parameters(of: side)
    let total = Double(samples.reduce(0) { $0 + $1.operations })
    func mean(_ value: (MeasuredSample) -> Double) -> Double {
      samples.reduce(0) { $0 + value($1) } / Double(max(samples.count, 1))
    }
    operations = mean { Double($0.operations) }
    let rates = samples.map { sample -> Double in
      if point.unit == Self.amplification {
        return Double(sample.deviceBytes?.afterSync ?? 0) / Double(max(sample.bytes, 1))
      }
      let amount = point.unit == "bytes/s" ? sample.bytes : sample.operations
      return sample.nanoseconds > 0 ? Double(amount) / (Double(sample.nanoseconds) / 1e9) : 0
    }
    if samples.contains(where: { $0.values["p50"] != nil }) {
      func percentile(_ name: String) -> Double? {
        samples.allSatisfy { $0.values[name] != nil } ? mean { Double($0.values[name] ?? 0) } : nil
      }
      let medians = samples.compactMap { $0.values["p50"].map { Double($0) } }
      latency = Latency(
        p50: percentile("p50") ?? 0, p99: percentile("p99"), p999: percentile("p999"),
        ci95: SampleStatistics(medians).ci95, samples: medians)
    }
    let sizes = samples.compactMap(\.size)
    if !sizes.isEmpty { size = Size(mean: Double(sizes.reduce(0, +)) / Double(sizes.count)) }
    if latency == nil, size == nil {
      let statistics = SampleStatistics(rates)
      throughput = Throughput(unit: point.unit, mean: statistics.mean, ci95: statistics.ci95, samples: rates)
    }
    let flushed = samples.compactMap(\.deviceBytes?.atFlush)
    if !flushed.isEmpty, flushed.count == samples.count {
      durableShare = mean { Double($0.deviceBytes?.atFlush ?? 0) / Double(max($0.bytes, 1)) }
    }
    fairness = Fairness(rates: samples.map(\.rates))
    /// A count per operation; nil unless every sample has the count.
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
    steal = samples.map(\.stealSeconds)
  }
}
