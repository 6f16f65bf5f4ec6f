/// What a VMM costs as a process, and what its frames cost against plain copies.
extension ReportTable {
  func process(_ lines: inout [String], _ rows: [Row]) {
    let records = report.results
    func start(_ vmm: String) -> Double? {
      records.first { $0.experiment == .start && $0.vmm == vmm }?.latency.map { $0.p50 / 1e6 }
    }
    if let own = start("swiftlet") {
      let peer = start("qemu").map { "; QEMU \(number($0)) ms; swiftlet/QEMU \(number(own / $0))" } ?? ""
      lines += ["", "From the start of the process to the guest's first byte: swiftlet \(number(own)) ms\(peer)."]
    }
    if let size = records.first(where: { $0.experiment == .memory })?.size {
      lines.append("Memory beyond the guest's RAM, while it reads a disk: \(number(size.mean / 1_048_576)) MiB.")
    }
    guard let copy = rows.first(where: { $0.experiment == .memcpy })?[.host] else { return }
    let frames = rows.filter {
      $0.parameters.frameBytes == copy.parameters.frameBytes && $0.parameters.backend == "switch"
        && $0.experiment != .netReceive && $0.experiment != .exitModel
    }
    section(
      &lines, "TSO frames against memcpy of the same size and working set", ["memcpy", "FV/memcpy", "PV/memcpy"], frames
    ) {
      [throughput(copy), ratio($0[.fullVirtualization], copy), ratio($0[.paravirtualization], copy)]
    }
  }

  /// Experiments that no other section prints, for example those of a later version, with their own units.
  func others(_ lines: inout [String], _ rows: [Row]) {
    let printed = Set<Record.Experiment>([
      .cpu, .diskWrite, .diskRead, .diskRandomRead, .netSend, .netReceive, .netInterVM, .netLatency, .netScale,
      .loopback, .netRemote, .diskAmplification,
      .start, .memory, .memcpy, .exitCost, .exitModel,
    ]).union(Record.Experiment.afterHPCC)
    let modes = [Record.Mode.host, .guest, .fullVirtualization, .paravirtualization]
    section(
      &lines, "Other experiments (each in its own unit)", modes.map(\.rawValue),
      rows.filter { !printed.contains($0.experiment) }
    ) { row in
      modes.map { mode in
        guard let record = row[mode] else { return "-" }
        let interval = record.measured.halfWidth.map { "±" + number($0) } ?? ""
        return "\(number(record.measured.mean))\(interval) \(record.unit)"
      }
    }
  }
}
