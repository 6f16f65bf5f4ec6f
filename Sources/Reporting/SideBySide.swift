import Measurement

/// Several reports, each against the first.
enum SideBySide {
  /// The mean of each report, and its ratio to the first; nil for a single report.
  static func table(_ experiment: Record.Experiment, _ sources: [SourceReport]) -> PageModel.Table? {
    guard sources.count > 1 else { return nil }
    let rows = rows(sources).filter { $0.cluster.experiment == experiment }.map { row -> PageModel.Table.Row in
      let unit = DisplayUnit(row.cluster.unit.visible, largest: row.records.compactMap { $0?.measured.mean }.max() ?? 0)
      let cells = row.records.enumerated().flatMap { index, record -> [String] in
        let mean = record.map { "\(unit.text($0.measured.mean)) \(unit.name)" } ?? "–"
        return index == 0 ? [mean] : [mean, row.ratio(index)?.text ?? "–"]
      }
      return PageModel.Table.Row(head: "\(Tables.head(row.cluster)), \(row.series.name)", cells: cells)
    }
    let columns = sources.enumerated().flatMap { index, source in
      index == 0 ? [source.name] : [source.name, "/ report 1"]
    }
    return PageModel.Table(
      about: "Side by side, with ratios to the first report and their 95 % intervals", columns: ["point"] + columns,
      rows: rows)
  }

  /// What differs from the first report, where the intervals are apart.
  static func conclusions(_ sources: [SourceReport]) -> [(source: SourceReport, conclusion: Conclusion)] {
    guard sources.count > 1 else { return [] }
    let rows = rows(sources)
    return sources.indices.dropFirst().compactMap { index in
      let speeds = rows.compactMap { row -> Bool? in
        guard let isBelow = row.ratio(index)?.isBelowOne else { return nil }
        return row.cluster.experiment.isLowerBetter ? isBelow : !isBelow
      }
      guard !speeds.isEmpty else { return nil }
      let known = rows.count { $0.ratio(index) != nil }
      return (
        sources[index],
        Conclusion(
          experiment: nil,
          text:
            "Better than in report 1 at \(speeds.count { $0 }) and worse at \(speeds.count { !$0 }) of "
            + "\(known) points; at the others the intervals do not tell.")
      )
    }
  }

  /// A point and a side, in each of the reports.
  struct Row {
    var cluster: Cluster
    var series: Series
    var records: [Record?]

    func ratio(_ index: Int) -> Ratio? { Ratio(records[index]?.measured, to: records[0]?.measured) }
  }

  static func rows(_ sources: [SourceReport]) -> [Row] {
    struct Key: Hashable {
      var experiment: Record.Experiment
      var parameters: Record.Parameters
      var unit: String
      var series: Series
    }
    var places: [Key: Int] = [:]
    var rows: [Row] = []
    for (index, source) in sources.enumerated() {
      for cluster in source.evidence.clusters {
        for series in cluster.series {
          let key = Key(
            experiment: cluster.experiment, parameters: cluster.parameters, unit: cluster.unit, series: series)
          let place = places[key] ?? rows.count
          if place == rows.count {
            rows.append(Row(cluster: cluster, series: series, records: Array(repeating: nil, count: sources.count)))
            places[key] = place
          }
          rows[place].records[index] = cluster[series]
        }
      }
    }
    return rows
  }
}
