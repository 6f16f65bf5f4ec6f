import Measurement

/// Makes the page's sections: plots, answers and tables of each experiment.
struct SectionBuilder {
  let sources: [SourceReport]
  private let conclusions: [(source: SourceReport, conclusion: Conclusion)]

  init(_ sources: [SourceReport]) {
    self.sources = sources
    let order = Evidence.experiments(of: sources.map(\.report))
    let found = sources.flatMap { source in Conclusions.all(source.evidence).map { (source: source, conclusion: $0) } }
    // In the order of the sections, after those about whole reports.
    conclusions =
      SideBySide.conclusions(sources) + found.filter { $0.conclusion.experiment == nil }
      + order.flatMap { experiment in found.filter { $0.conclusion.experiment == experiment } }
  }

  var isSeveral: Bool { sources.count > 1 }

  var sentences: [PageModel.Sentence] {
    conclusions.map { entry in
      let experiment = entry.conclusion.experiment
      return PageModel.Sentence(
        topic: experiment.map { Figure.figure(for: $0).title }, sentence: text(entry), target: experiment?.rawValue)
    }
  }

  private func text(_ entry: (source: SourceReport, conclusion: Conclusion)) -> String {
    entry.source.number.map { "Report \($0): \(entry.conclusion.text)" } ?? entry.conclusion.text
  }

  /// The points of a plot: one unit, measured under one condition, in one report.
  private struct Panel {
    var source: SourceReport
    var unit: String
    var condition: String
    var clusters: [Cluster]
  }

  func section(_ experiment: Record.Experiment) -> PageModel.Section {
    let figure = Figure.figure(for: experiment)
    let panels = sources.flatMap { self.panels(of: experiment, $0) }
    let series = Set(panels.flatMap(\.clusters).flatMap(\.series)).sorted()
    let plots = panels.enumerated().map { plot($1, of: panels, figure, name: "\(experiment.rawValue)-\($0)") }
    let isCurves = plots.allSatisfy { !$0.plot.curves.isEmpty }
    return PageModel.Section(
      id: experiment.rawValue, heading: figure.title, question: figure.question, source: figure.source,
      finding: figure.finding, reading: figure.reading, change: figure.change,
      answers: conclusions.filter { $0.conclusion.experiment == experiment }.map(text),
      legend: series.map {
        PageModel.Legend(
          glyph: isCurves ? $0.glyph : nil, side: $0.name, meaning: $0.meaning, color: $0.style)
      },
      panels: plots,
      table: Tables(sources).numbers(experiment), twin: PaperTable(figure).twin(sources),
      then: PaperTable(figure).table(sources),
      ratios: Tables(sources).ratios(experiment), versus: SideBySide.table(experiment, sources),
      csv: ReportOutput.csv(sources) { $0.experiment == experiment }.percentEncoded)
  }

  private func panels(of experiment: Record.Experiment, _ source: SourceReport) -> [Panel] {
    var panels: [Panel] = []
    for cluster in source.evidence.clusters(of: experiment) {
      let condition = cluster.condition
      if let index = panels.firstIndex(where: { $0.unit == cluster.unit && $0.condition == condition }) {
        panels[index].clusters.append(cluster)
      } else {
        panels.append(Panel(source: source, unit: cluster.unit, condition: condition, clusters: [cluster]))
      }
    }
    return panels
  }

  /// Plots of the same unit and condition share a scale, so that reports can be compared by eye.
  private func plot(_ panel: Panel, of all: [Panel], _ figure: Figure, name: String) -> PageModel.Panel {
    let largest =
      all.filter { $0.unit == panel.unit && $0.condition == panel.condition }
      .flatMap(\.clusters).map(\.largest).max() ?? 0
    let caption = [isSeveral ? panel.source.title : "", panel.condition].filter { !$0.isEmpty }.joined(separator: ": ")
    return PageModel.Panel(
      caption: caption.isEmpty ? nil : caption,
      plot: Plot(
        name: name, title: "\(figure.title)\(caption.isEmpty ? "" : ", \(caption)")", clusters: panel.clusters,
        unit: DisplayUnit(panel.unit.visible, largest: largest), largest: largest))
  }
}

extension Cluster {
  /// The largest value that a plot must show. An interval may end beyond it.
  var largest: Double {
    series.compactMap { self[$0] }.flatMap { record -> [Double] in
      let measured = record.measured
      // A very wide interval would make all bars small. It is cut at twice the mean.
      return record.samples + [measured.mean + min(measured.halfWidth ?? 0, measured.mean)]
    }.max() ?? 0
  }
}
