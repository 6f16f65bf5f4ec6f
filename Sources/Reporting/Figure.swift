import Measurement

/// What one experiment asks, and what the paper found.
struct Figure: Sendable {
  /// A number of the paper.
  struct PaperValue: Sendable {
    var side: String
    /// The side of our rows that repeats it; nil for Xen, which we do not measure.
    var mode: Record.Mode?
    var value: Double
    var unit: String
    /// "about" or "below", where the paper gives no exact number.
    var isExact = true
  }

  var experiment: Record.Experiment
  var title: String
  var question: String
  /// The part of the paper that it repeats; nil if the paper has none.
  var source: String?
  /// What the paper found, in a sentence or two.
  var finding: String?
  /// How to read the plot.
  var reading: String
  /// What has changed since 2009, and why.
  var change: String?
  var values: [PaperValue] = []
  /// The unit of our values when they stand beside the paper's, and its size in the record's unit.
  var scale: (unit: String, recordUnit: String, divisor: Double)?
  /// Our row beside the paper's numbers; the first row if none matches.
  var isReference: @Sendable (Record.Parameters) -> Bool = { _ in true }

  /// The section for an experiment that the catalogue does not have.
  init(unknown experiment: Record.Experiment) {
    self.init(
      experiment, title: "Experiment \(experiment.rawValue)",
      question: "This version of swiftlet has no description of this experiment.",
      reading: "Each bar is the mean of its samples, and each dot is one sample.")
  }

  init(
    _ experiment: Record.Experiment, title: String, question: String, source: String? = nil, finding: String? = nil,
    reading: String, change: String? = nil, values: [PaperValue] = [],
    scale: (unit: String, recordUnit: String, divisor: Double)? = nil,
    isReference: @escaping @Sendable (Record.Parameters) -> Bool = { _ in true }
  ) {
    self.experiment = experiment
    self.title = title
    self.question = question
    self.source = source
    self.finding = finding
    self.reading = reading
    self.change = change
    self.values = values
    self.scale = scale
    self.isReference = isReference
  }

  /// All descriptions, in the order of the page.
  static let all = processor + disks + networks + cluster + processes + exits

  static func figure(for experiment: Record.Experiment) -> Figure {
    all.first { $0.experiment == experiment } ?? Figure(unknown: experiment)
  }
}
