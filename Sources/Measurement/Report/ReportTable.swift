import Foundation

/// The report as a readable table: one line for each point, with host, FV and PV side by side.
package struct ReportTable {
  let report: Report

  package init(_ report: Report) { self.report = report }

  struct Row {
    var experiment: Record.Experiment
    var parameters: Record.Parameters
    var records: [Record]

    /// swiftlet's own record, or the host's.
    subscript(mode: Record.Mode) -> Record? { records.first { $0.mode == mode && $0.vmm != "qemu" } }
    var peer: Record? { records.first { $0.vmm == "qemu" } }
    /// swiftlet's record to compare with the peer's.
    var own: Record? { records.first { $0.vmm == "swiftlet" } }
  }

  private var rows: [Row] {
    var rows: [Row] = []
    for record in report.results {
      if let index = rows.firstIndex(where: {
        $0.experiment == record.experiment && $0.parameters == record.parameters
      }) {
        rows[index].records.append(record)
      } else {
        rows.append(Row(experiment: record.experiment, parameters: record.parameters, records: [record]))
      }
    }
    return rows
  }

  package var text: String {
    var lines = [
      "\(report.host.cpu), \(report.host.cores) cores, Linux \(report.host.kernel), load \(report.host.load)"
    ]
    lines.append(report.host.kvmSentence)
    let profiled = report.results.first { $0.parameters.profile != nil }?.parameters
    if let profiled, let profile = profiled.profile.flatMap(Profile.init) {
      lines.append(profile.sentence(interrupts: profiled.interrupts ?? "irq"))
    }
    guard ablated.isEmpty else {
      ablation(&lines)
      return lines.joined(separator: "\n") + "\n"
    }
    let rows = rows
    section(
      &lines, "CPU (rounds/s; the same object code on host and guest)", ["host", "guest", "guest/host"],
      rows.filter { $0.experiment == .cpu }
    ) { row in
      [throughput(row[.host]), throughput(row[.guest]), ratio(row[.guest], row[.host])]
    }
    section(
      &lines, "Disk (verified; writes include the final flush)", Self.diskColumns,
      rows.filter { [.diskWrite, .diskRead, .diskRandomRead].contains($0.experiment) && $0.peer == nil }
    ) { row in
      [throughput(row[.host]), throughput(row[.fullVirtualization]), throughput(row[.paravirtualization])]
        + compared(row)
    }
    let loopback = rows.filter { $0.experiment == .loopback }
    section(
      &lines, "Network (raw frames, verified, under a credit window; host: the stream over a socketpair)",
      Self.diskColumns,
      rows.filter { [.netSend, .netReceive, .netRemote, .netInterVM].contains($0.experiment) && $0.peer == nil }
    ) { row in
      let baseline = loopback.first { $0.parameters.frameBytes == row.parameters.frameBytes }
      return [
        throughput(row[.host] ?? baseline?[.host]), throughput(row[.fullVirtualization]),
        throughput(row[.paravirtualization]),
      ]
        + compared(row)
    }
    section(
      &lines, "Network latency (us, echo of 60 bytes)",
      ["FV p50", "FV p99", "PV p50", "PV p99", "FV exits/op", "PV exits/op"],
      rows.filter { $0.experiment == .netLatency && $0.peer == nil }
    ) { row in
      [.fullVirtualization, .paravirtualization].flatMap { mode in
        [row[mode]?.latency?.p50, row[mode]?.latency?.p99].map { number($0.map { $0 / 1000 }) }
      } + [number(row[.fullVirtualization]?.perOperation.exits), number(row[.paravirtualization]?.perOperation.exits)]
    }
    scale(&lines, rows)
    shares(&lines, rows)
    amplification(&lines, rows)
    hpcc(&lines, rows)
    process(&lines, rows)
    gap(&lines)
    besideQEMU(&lines, rows)
    others(&lines, rows)
    let drops = report.results.reduce(into: [String: UInt64]()) { $0.merge($1.drops, uniquingKeysWith: &+) }
    if !drops.isEmpty {
      lines.append("")
      lines.append(
        "Dropped frames, detected by the verification: "
          + drops.sorted { $0.key < $1.key }
          .map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static let diskColumns = [
    "host", "FV", "PV", "FV/PV", "FV exits/op", "PV exits/op", "FV kernel/op", "PV kernel/op", "FV cpu us/op",
    "PV cpu us/op",
  ]

  /// Records without an acceleration. All rows of such a report have polling off, which is not one of them.
  private var ablated: [Record] {
    report.results.filter { $0.parameters.profile == nil && ($0.parameters.disabled?.count ?? 0) > 1 }
  }

  /// One line for each device and point: throughput without an acceleration against throughput with all, and what it adds
  /// in exits.
  private func ablation(_ lines: inout [String]) {
    let names = ablated.compactMap { $0.parameters.disabled?.last }.reduce(into: [String]()) { names, name in
      if !names.contains(name) { names.append(name) }
    }
    let table = report.results.filter { $0.parameters.disabled?.count == 1 && $0.mode != .host }.map { base in
      var parameters = base.parameters
      let cells = names.map { name -> String in
        parameters.disabled = (base.parameters.disabled ?? []) + [name]
        guard
          let record = ablated.first(where: {
            $0.experiment == base.experiment && $0.device == base.device && $0.parameters == parameters
          })
        else { return "-" }
        return
          "\(ratio(record, base)) (\(number(record.perOperation.exits))/\(number(record.perOperation.kernelExits)))"
      }
      let row = Row(experiment: base.experiment, parameters: base.parameters, records: [base])
      let exits = "\(number(base.perOperation.exits))/\(number(base.perOperation.kernelExits))"
      return ["\(base.device.rawValue) \(name(row))", throughput(base), exits] + cells
    }
    grid(
      &lines, "Each acceleration off alone: throughput as a part of all on (exits/op, kernel/op)",
      [["", "all on", "exits/kernel"] + names] + table)
  }

  private func besideQEMU(_ lines: inout [String], _ rows: [Row]) {
    if let peer = report.peer {
      let rows = rows.filter { $0.peer != nil }
      for (title, group) in [
        ("one disk file, both poll", rows.filter { $0.parameters.blockBytes != nil }),
        (
          "taps on a bridge; host: the stream between two taps",
          rows.filter { $0.parameters.frameBytes != nil && $0.experiment != .netLatency }
        ),
      ] {
        section(&lines, "Beside QEMU \(peer) (\(title))", Self.peerColumns, group) { row in
          [
            throughput(row[.host]), throughput(row.own), throughput(row.peer), ratio(row.own, row.peer),
            ratio(row.own, row[.host]), number(row.own?.perOperation.kernelExits),
            number(row.peer?.perOperation.kernelExits), cost(row.own), cost(row.peer),
          ]
        }
      }
      section(
        &lines, "Latency beside QEMU \(peer) (us, echo of 60 bytes over taps on a bridge)",
        ["swiftlet p50", "swiftlet p99", "QEMU p50", "QEMU p99", "swiftlet/QEMU p50", "cpu us/op", "QEMU cpu us/op"],
        rows.filter { $0.experiment == .netLatency }
      ) { row in
        let (own, peer) = (row.own?.latency, row.peer?.latency)
        return [own?.p50, own?.p99, peer?.p50, peer?.p99].map { number($0.map { $0 / 1000 }) }
          + [number(own.flatMap { own in peer.map { own.p50 / $0.p50 } }), cost(row.own), cost(row.peer)]
      }
    } else if let failure = report.peerFailure {
      lines += ["", "Beside QEMU: not measured. \(failure)"]
    }
    if let failure = report.peerNetworkFailure { lines += ["", "Network beside QEMU: not measured. \(failure)"] }
  }

  private static let peerColumns = [
    "host", "swiftlet", "QEMU", "swiftlet/QEMU", "swiftlet/host", "kernel/op", "QEMU kernel/op", "cpu us/op",
    "QEMU cpu us/op",
  ]

  private func compared(_ row: Row) -> [String] {
    let full = row[.fullVirtualization]
    let para = row[.paravirtualization]
    return [
      ratio(full, para), number(full?.perOperation.exits), number(para?.perOperation.exits),
      number(full?.perOperation.kernelExits), number(para?.perOperation.kernelExits), cost(full), cost(para),
    ]
  }

  func section(
    _ lines: inout [String], _ title: String, _ columns: [String], _ rows: [Row], _ cells: (Row) -> [String]
  ) {
    grid(&lines, title, [[""] + columns] + rows.map { [name($0)] + cells($0) })
  }

  /// Appends a table whose first row has the names of the columns; nothing if it has no other row.
  func grid(_ lines: inout [String], _ title: String, _ table: [[String]]) {
    guard table.count > 1 else { return }
    lines += ["", Self.grid(title, table)]
  }

  /// A title, and lines whose columns are aligned.
  package static func grid(_ title: String, _ table: [[String]]) -> String {
    let widths = (table.first ?? []).indices.map { column in table.map { $0[column].count }.max() ?? 0 }
    let lines = table.map { row in
      let padded = row.enumerated().map { index, cell in
        let space = String(repeating: " ", count: widths[index] - cell.count)
        return index == 0 ? cell + space : space + cell
      }
      return "  " + padded.joined(separator: "  ")
    }
    return ([title] + lines).joined(separator: "\n")
  }

  /// Total throughput of several VMs, against the total of two.
  private func scale(_ lines: inout [String], _ rows: [Row]) {
    let scaled = rows.filter { $0.experiment == .netScale }
    section(
      &lines,
      "Several VMs, in pairs or each with the host (total; Jain's index; the slowest as a part of the mean)",
      ["FV", "PV", "FV/2 VMs", "PV/2 VMs", "FV Jain", "PV Jain", "FV slowest", "PV slowest"], scaled
    ) { row in
      var two = row.parameters
      two.vms = 2
      if two.processes != nil { two.processes = 2 }
      let base = scaled.first { $0.parameters == two }
      let modes = [Record.Mode.fullVirtualization, .paravirtualization]
      return modes.map { throughput(row[$0]) } + modes.map { ratio(row[$0], base?[$0]) }
        + modes.map { number(row[$0]?.fairness?.jain) } + modes.map { number(row[$0]?.fairness?.worstShare) }
    }
  }

  /// Whether the report has rows of a profile beside others.
  private var isMixed: Bool {
    report.results.contains { $0.parameters.profile != nil } && report.results.contains { $0.parameters.profile == nil }
  }

  func name(_ row: Row) -> String {
    let parameters = row.parameters
    var parts = [row.experiment.rawValue] + parameters.hpccNames
    if row.peer != nil, let own = row.own { parts.insert(own.device.rawValue, at: 0) }
    if row.peer != nil, parameters.driverStyle == "linux" { parts.append("(Linux's accesses)") }
    if let direction = parameters.direction { parts.append(direction) }
    if let machines = parameters.machineName(row.experiment) { parts.append(machines) }
    if let block = parameters.blockName { parts.append(block) }
    if let depth = parameters.queueDepth { parts.append("depth \(depth)") }
    if let cache = parameters.cache, cache != "none" { parts.append("cache=\(cache)") }
    if let frame = parameters.frameBytes, let name = parameters.frameName {
      parts.append(name)
      // An e1000 receives no frame above 16 384 bytes, so it gets segments.
      let isReceived = [.netReceive, .netInterVM].contains(row.experiment) || parameters.direction == "receive"
      if frame > 9000, row.peer == nil, isReceived { parts.append("(FV in segments)") }
    }
    if row.peer == nil, parameters.backend == "tap" {
      parts.append("over taps\(parameters.processes == nil ? "" : " between processes")")
    }
    if isMixed, let profile = parameters.profile { parts.append("(as in \(profile))") }
    return parts.joined(separator: " ")
  }

  func throughput(_ record: Record?) -> String {
    guard let throughput = record?.throughput else { return "-" }
    let scale: (Double, String) =
      switch throughput.unit {
      case "bytes/s": (1e6, " MB/s")
      case "flop/s": (1e9, " Gflop/s")
      default: (1e3, " k/s")
      }
    let interval = throughput.ci95.map { "±" + number($0 / scale.0) } ?? ""
    return number(throughput.mean / scale.0) + interval + scale.1
  }

  func ratio(_ first: Record?, _ second: Record?) -> String {
    guard let first = first?.throughput?.mean, let second = second?.throughput?.mean, second > 0 else { return "-" }
    return number(first / second)
  }

  /// Processor time of vCPU and I/O threads for one operation, in microseconds.
  private func cost(_ record: Record?) -> String {
    guard let record, record.operations > 0 else { return "-" }
    return number(record.cpuSeconds.total / record.operations * 1e6)
  }

  func number(_ value: Double?) -> String { value?.brief ?? "-" }
}

extension Double {
  /// The number with about three digits, as all reports print it.
  package var brief: String {
    let size = abs(self)
    return String(format: size == 0 || size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.2f", self)
  }
}

extension Record.Parameters {
  /// The block size as text, for example "64 KiB".
  package var blockName: String? {
    blockBytes.map { $0 >= 1 << 20 ? "\($0 >> 20) MiB" : $0 >= 1024 ? "\($0 >> 10) KiB" : "\($0) B" }
  }

  /// The frame size as text. The row of 60 bytes is the "64 B" row, because its FCS is not counted.
  package var frameName: String? {
    frameBytes.map { bytes in
      switch bytes {
      case 60: "64 B"
      case NetworkBench.messageFrame: "16 kB"
      default: bytes > 9000 ? "TSO" : "\(bytes) B"
      }
    }
  }

  /// The number of vCPUs and VMs as text, where the experiment varies them: "2 vCPUs", "4 VMs".
  package func machineName(_ experiment: Record.Experiment) -> String? {
    switch experiment {
    case .cpu:
      if let vms { return "\(vms) VM\(vms == 1 ? "" : "s")" }
      return vCPUs.map { "\($0) vCPU\($0 == 1 ? "" : "s")" }
    case .netScale, .fairness: return vms.map { "\($0) VM\($0 == 1 ? "" : "s")" }
    default: return nil
    }
  }
}
