/// The experiments after HPCC: the host, one VM with several vCPUs, and several VMs with a vCPU each.
extension ReportTable {
  func hpcc(_ lines: inout [String], _ all: [Row]) {
    let rows = all.filter { Record.Experiment.afterHPCC.contains($0.experiment) }
    let modes: [Record.Mode] = [.host, .guest, .fullVirtualization, .paravirtualization]
    let rates = rows.filter { $0.experiment != .hpccLatency }
    section(
      &lines, "After HPCC (verified; ranks are threads of the host, vCPUs of one guest, or VMs with a vCPU each)",
      ["host", "guest", "FV", "PV", "guest/host", "PV/host", "FV/PV"], rates
    ) { row in
      modes.map { throughput(row[$0]) } + [
        ratio(row[.guest], row[.host]), ratio(row[.paravirtualization], row[.host]),
        ratio(row[.fullVirtualization], row[.paravirtualization]),
      ]
    }
    section(
      &lines, "After HPCC, time of a message (us, median and 99th percentile)",
      modes.flatMap { ["\($0.rawValue) p50", "\($0.rawValue) p99"] }, rows.filter { $0.experiment == .hpccLatency }
    ) { row in
      modes.flatMap { mode in
        [row[mode]?.latency?.p50, row[mode]?.latency?.p99].map { number($0.map { $0 / 1000 }) }
      }
    }
  }
}

extension Record.Experiment {
  package static let afterHPCC: [Self] = [.hpccTranspose, .hpccStream, .hpccLatency, .hpccBandwidth, .hpccLinpack]
}

extension Record.Parameters {
  /// The varied values of a row after HPCC, as text.
  package var hpccNames: [String] {
    var parts: [String] = []
    if let kernel { parts.append(kernel) }
    if let order { parts.append(order) }
    if let messageBytes { parts.append("\(messageBytes) B") }
    if let matrix { parts.append("n \(matrix)") }
    if let ranks { parts.append(ranks == 1 ? "1 rank" : "\(ranks) ranks") }
    return parts
  }
}
