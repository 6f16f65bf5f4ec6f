import KVM
import Measurement

/// A report, as the conclusions look at it: its points, with the host's baseline beside each.
struct Evidence {
  let report: Report
  let clusters: [Cluster]

  init(_ report: Report) {
    self.report = report
    var clusters = Cluster.clusters(of: report.results)
    let streams = report.results.filter { $0.experiment == .loopback }
    // The host's stream of the same frames is the baseline of the switch's rows.
    for index in clusters.indices where Self.hasStreamBaseline(clusters[index]) {
      let frame = clusters[index].parameters.frameBytes
      if let stream = streams.first(where: { $0.parameters.frameBytes == frame && $0.unit == clusters[index].unit }) {
        clusters[index].add(baseline: stream)
      }
    }
    self.clusters = clusters
  }

  private static func hasStreamBaseline(_ cluster: Cluster) -> Bool {
    [.netSend, .netReceive, .netInterVM].contains(cluster.experiment) && cluster.parameters.backend == "switch"
  }

  func clusters(of experiment: Record.Experiment) -> [Cluster] { clusters.filter { $0.experiment == experiment } }

  /// The experiments of the report: those of the catalogue in its order, then others in the file's order.
  static func experiments(of reports: [Report]) -> [Record.Experiment] {
    var found: [Record.Experiment] = []
    for report in reports {
      for record in report.results where !found.contains(record.experiment) { found.append(record.experiment) }
    }
    let known = Figure.all.map(\.experiment)
    return known.filter(found.contains) + found.filter { !known.contains($0) }
  }

  /// The beginning of a sentence that states a ratio of FV and PV. Such a ratio means nothing without the kind of KVM.
  var onThisKVM: String {
    switch KVMKind(rawValue: report.host.kvm) ?? .unknown {
    case .pvm: "On this software KVM (pvm)"
    case .vmx: "On this KVM with VT-x (vmx)"
    case .svm: "On this KVM with AMD-V (svm)"
    case .unknown: "On this KVM of unknown kind"
    }
  }
}

extension Record.Experiment {
  /// Whether a lower value is better.
  var isLowerBetter: Bool { [.netLatency, .start, .memory, .hpccLatency, .diskAmplification].contains(self) }
}

extension Cluster {
  /// How much of the second side's speed the first side reaches, with its interval.
  func speed(_ first: Record?, of second: Record?) -> Ratio? {
    experiment.isLowerBetter
      ? Ratio(second?.measured, to: first?.measured) : Ratio(first?.measured, to: second?.measured)
  }
}

extension Ratio {
  /// The ratio with its interval, for example "0.46 (0.41 to 0.52)".
  var text: String {
    interval.map { "\(value.brief) (\($0.lowerBound.brief) to \($0.upperBound.brief))" }
      ?? "\(value.brief) (interval unknown)"
  }
}
