import Measurement

/// Warnings about a host whose other work disturbs the measurement.
enum HostNoise {
  /// The widest interval, as a part of its mean, that still says much.
  private static let widest = 0.25

  static func warnings(_ report: Report) -> [String] {
    let cores = Double(max(report.host.cores, 1))
    var warnings: [String] = []
    if report.host.load > cores / 2 {
      warnings.append(
        "The host was busy before the first sample: its load was \(report.host.load.brief) with \(report.host.cores) "
          + "processors.")
    }
    // Eight machines and their loop are nine threads, so a load above ten is not the run's own.
    let loads = report.results.flatMap(\.load)
    let busy = loads.filter { $0 > max(10, 2 * cores) }
    if !busy.isEmpty {
      warnings.append(
        "The host's load was above what the run itself causes before \(busy.count) of \(loads.count) samples, at most "
          + "\((busy.max() ?? 0).brief).")
    }
    let stolen = report.results.filter { record in
      guard let time = record.sampleSeconds else { return false }
      return record.cpuSeconds.steal > 0.02 * time * cores
    }
    if !stolen.isEmpty {
      warnings.append(
        "The host's own hypervisor took more than 2\u{A0}% of the processors away in \(stolen.count) of "
          + "\(report.results.count) rows.")
    }
    let known = report.results.compactMap { record in
      record.measured.halfWidth.map { $0 / max(record.measured.mean, .leastNonzeroMagnitude) }
    }
    let wide = known.count { $0 > widest }
    if wide * 4 > known.count {
      warnings.append(
        "\(wide) of \(known.count) rows have an interval wider than ± 25\u{A0}%. Measure again without --quick, or with more "
          + "samples: --repeat 10.")
    }
    return warnings
  }
}

extension Record {
  /// The mean length of a sample in seconds; nil if it does not follow from the rate.
  var sampleSeconds: Double? {
    guard let throughput, throughput.mean > 0 else { return nil }
    let size = throughput.unit == "bytes/s" ? Double(parameters.blockBytes ?? parameters.frameBytes ?? 1) : 1
    return operations * size / throughput.mean
  }
}
