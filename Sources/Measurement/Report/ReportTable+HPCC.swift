/// The experiments after HPCC: the host, one VM with several vCPUs, and several VMs with a vCPU each.
extension ReportTable {
  private static let experiments: [Record.Experiment] = [
    .hpccStream, .hpccLatency, .hpccBandwidth, .hpccTranspose, .hpccLinpack,
  ]

  func hpcc(_ lines: inout [String]) {
    let records = report.results.filter { Self.experiments.contains($0.experiment) }
    // The sides of a row have the same ranks, but in different machines.
    var rows: [Row] = []
    for record in records {
      var parameters = record.parameters
      (parameters.vms, parameters.vCPUs, parameters.interrupts, parameters.backend) = (nil, nil, nil, nil)
      if let index = rows.firstIndex(where: { $0.experiment == record.experiment && $0.parameters == parameters }) {
        rows[index].records.append(record)
      } else {
        rows.append(Row(experiment: record.experiment, parameters: parameters, records: [record]))
      }
    }
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

  /// The varied values of a row after HPCC.
  func hpccName(_ parameters: Record.Parameters) -> [String] {
    var parts: [String] = []
    if let kernel = parameters.kernel { parts.append(kernel) }
    if let order = parameters.order { parts.append(order) }
    if let bytes = parameters.messageBytes { parts.append("\(bytes) B") }
    if let matrix = parameters.matrix { parts.append("n \(matrix)") }
    if let ranks = parameters.ranks { parts.append(ranks == 1 ? "1 rank" : "\(ranks) ranks") }
    return parts
  }
}
