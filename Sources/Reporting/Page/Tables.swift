import Measurement

/// The tables of a section: each plot's numbers, and the ratios between its sides.
struct Tables {
  let sources: [SourceReport]

  init(_ sources: [SourceReport]) { self.sources = sources }

  private var isSeveral: Bool { sources.count > 1 }

  /// All numbers of the plots, one row for each bar.
  func numbers(_ experiment: Record.Experiment) -> PageModel.Table {
    let entries = sources.flatMap { source in
      source.evidence.clusters(of: experiment).flatMap { cluster in
        cluster.series.compactMap { series in cluster[series].map { (source, cluster, series, $0) } }
      }
    }
    let records = entries.map(\.3)
    let head = names(experiment)
    let hasTail = records.contains { $0.latency?.p99 != nil }
    let hasShares = records.contains { $0.fairness != nil }
    let hasDurable = records.contains { $0.durableShare != nil }
    let columns =
      ["point"] + (isSeveral ? ["report"] : []) + ["side", "mean", "± 95 %"] + (hasTail ? ["p99", "p99.9"] : [])
      + (hasShares ? ["Jain’s index", "slowest / mean"] : []) + (hasDurable ? ["by the last flush"] : [])
      + ["samples", "exits/op", "all exits/op", "CPU µs/op", "load", "steal, s"]
    let rows = entries.map { source, cluster, series, record -> PageModel.Table.Row in
      let unit = DisplayUnit(record.unit.visible, largest: record.measured.mean)
      var cells = isSeveral ? [source.name] : []
      cells += [series.name, "\(unit.text(record.measured.mean)) \(unit.name)", unit.text(record.measured.halfWidth)]
      if hasTail { cells += [unit.text(record.latency?.p99), unit.text(record.latency?.p999)] }
      if hasShares { cells += [text(record.fairness?.jain), text(record.fairness?.worstShare)] }
      if hasDurable { cells.append(text(record.durableShare)) }
      cells += [
        record.samples.isEmpty ? "–" : record.samples.map { unit.text($0) }.joined(separator: " "),
        text(record.perOperation.exits), text(record.perOperation.kernelExits), cost(record),
        record.load.map(\.brief).joined(separator: " "),
        record.steal.map { $0.map(\.brief).joined(separator: " ") } ?? record.cpuSeconds.steal.brief,
      ]
      return PageModel.Table.Row(head: head(cluster), cells: cells)
    }
    return PageModel.Table(about: "\(Figure.figure(for: experiment).title): all numbers", columns: columns, rows: rows)
  }

  /// The ratios of each point, under the kind of KVM; nil if no point has two sides.
  func ratios(_ experiment: Record.Experiment) -> PageModel.Table? {
    typealias Pair = (name: String, of: Series, to: Series)
    let (host, guest) = (Series(.host), Series(.guest))
    let (full, para) = (Series(.fullVirtualization), Series(.paravirtualization))
    var pairs: [Pair] = [
      ("guest/host", guest, host), ("FV/PV", full, para), ("FV/host", full, host), ("PV/host", para, host),
    ]
    for mode in [Record.Mode.fullVirtualization, .paravirtualization, .guest] {
      var peer = Series(mode)
      peer.isPeer = true
      pairs.append(("\(mode.rawValue)/QEMU", Series(mode), peer))
    }
    let entries = sources.flatMap { source in source.evidence.clusters(of: experiment).map { (source, $0) } }
    pairs = pairs.filter { pair in entries.contains { $0.1[pair.of] != nil && $0.1[pair.to] != nil } }
    guard !pairs.isEmpty else { return nil }
    let head = names(experiment)
    let rows = entries.map { source, cluster -> PageModel.Table.Row in
      let cells = pairs.map { pair in
        Ratio(cluster[pair.of]?.measured, to: cluster[pair.to]?.measured)?.text ?? "–"
      }
      return PageModel.Table.Row(head: head(cluster), cells: (isSeveral ? [source.name] : []) + cells)
    }
    let kinds = Set(sources.map(\.report.host.kvm)).sorted().joined(separator: ", ")
    return PageModel.Table(
      about: "Ratios with 95 % intervals. Kind of KVM: \(kinds)",
      columns: ["point"] + (isSeveral ? ["report"] : []) + pairs.map(\.name), rows: rows)
  }

  /// Names points, with their condition if the experiment has several.
  private func names(_ experiment: Record.Experiment) -> (Cluster) -> String {
    let conditions = Set(sources.flatMap { $0.evidence.clusters(of: experiment).map(\.condition) })
    return { conditions.count > 1 ? Self.head($0) : $0.label }
  }

  static func head(_ cluster: Cluster) -> String {
    let condition = cluster.condition
    return cluster.label + (condition.isEmpty ? "" : " (\(condition))")
  }

  private func text(_ value: Double?) -> String { value?.brief ?? "–" }

  private func cost(_ record: Record) -> String {
    record.operations > 0 ? (record.cpuSeconds.total / record.operations * 1e6).brief : "–"
  }
}
