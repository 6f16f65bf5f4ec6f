/// How much of each gap between FV and PV exits explain, and whether the model predicts exits that were added.
extension ReportTable {
  func gap(_ lines: inout [String]) {
    guard let analysis = report.exitAnalysis else { return }
    lines += [
      "",
      "On this host an exit to user space costs \(cost(analysis.exit)) us, a kick \(cost(analysis.kick)), and a coalesced "
        + "write \(cost(analysis.coalesced)).",
    ]
    let gaps = analysis.gaps.map { gap -> [String] in
      let limit = gap.isUpperBound ? "<=" : ""
      return [
        name(Row(experiment: gap.experiment, parameters: gap.parameters, records: [])), microseconds(gap.full),
        microseconds(gap.para), microseconds(gap.gap), limit + microseconds(gap.explained),
        gap.isUpperBound ? "-" : microseconds(gap.left), number(gap.para / gap.full),
        gap.projectedRatio.map { limit + number($0) } ?? "-",
      ]
    }
    grid(
      &lines, "Gap between FV and PV (us per operation). Projected: FV/PV where an exit costs 1 us, by a model",
      [["", "FV", "PV", "gap", "by exits", "left", "FV/PV", "projected"]] + gaps)
    let checks = analysis.checks.map { check -> [String] in
      let experiment: Record.Experiment = check.parameters.blockBytes == nil ? .netSend : .diskRead
      let verdict = check.isWithinInterval.map { $0 ? "yes" : "no" } ?? "-"
      let interval = check.ci95.map { "±" + microseconds($0) } ?? ""
      return [
        "\(check.device.rawValue) \(name(Row(experiment: experiment, parameters: check.parameters, records: [])))",
        number(check.addedExits), microseconds(check.predicted), microseconds(check.measured) + interval, verdict,
      ]
    }
    grid(
      &lines, "Check of the model, with exits added on purpose (us per operation)",
      [["", "exits added", "predicted", "measured", "within"]] + checks)
  }

  private func cost(_ cost: ExitModel.Cost) -> String {
    microseconds(cost.mean) + (cost.ci95.map { "±" + microseconds($0) } ?? "")
  }

  private func microseconds(_ nanoseconds: Double) -> String { number(nanoseconds / 1000) }
}
