import Measurement

/// The tables of the model of exits.
enum GapTables {
  static func gap(_ analysis: ExitAnalysis, _ evidence: Evidence) -> PageModel.Table? {
    guard !analysis.gaps.isEmpty else { return nil }
    let rows = analysis.gaps.map { gap -> PageModel.Table.Row in
      let limit = gap.isUpperBound ? "≤ " : ""
      let cells = [
        microseconds(gap.full), microseconds(gap.para), microseconds(gap.gap), limit + microseconds(gap.explained),
        gap.isUpperBound ? "–" : microseconds(gap.left), (gap.para / gap.full).brief,
        gap.projectedRatio.map { limit + $0.brief } ?? "–",
      ]
      let cluster = Cluster(experiment: gap.experiment, parameters: gap.parameters)
      return PageModel.Table.Row(head: "\(gap.experiment.rawValue) \(Tables.head(cluster))", cells: cells)
    }
    return PageModel.Table(
      about: "Time per operation in µs. \(evidence.onThisKVM), an exit costs \(cost(analysis.exit)) µs, a kick "
        + "\(cost(analysis.kick)), and a coalesced write \(cost(analysis.coalesced))",
      columns: ["point", "FV", "PV", "gap", "by exits", "left", "FV/PV", "FV/PV, exits of 1 µs"], rows: rows)
  }

  static func check(_ analysis: ExitAnalysis) -> PageModel.Table? {
    guard !analysis.checks.isEmpty else { return nil }
    let rows = analysis.checks.map { check in
      PageModel.Table.Row(
        head: "\(check.device.rawValue) \(check.parameters.blockName ?? check.parameters.frameName ?? "")",
        cells: [
          check.addedExits.brief, microseconds(check.predicted),
          microseconds(check.measured) + (check.ci95.map { " ± \(microseconds($0))" } ?? ""),
          check.isWithinInterval.map { $0 ? "yes" : "no" } ?? "too wide to tell",
        ])
    }
    return PageModel.Table(
      about: "Change in time per operation, in µs",
      columns: ["device", "exits added", "predicted", "measured", "within the interval"], rows: rows)
  }

  private static func cost(_ cost: ExitModel.Cost) -> String {
    microseconds(cost.mean) + (cost.ci95.map { " ± \(microseconds($0))" } ?? "")
  }

  private static func microseconds(_ nanoseconds: Double) -> String { (nanoseconds / 1000).brief }
}
