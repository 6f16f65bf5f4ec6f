import ArgumentParser
import Failures
import Foundation
import KVM
import Measurement
import Reporting

/// `swiftlet reproduce`: redoes the evaluation of the paper on this host.
struct ReproduceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reproduce",
    abstract: "Redo the evaluation of the paper, and write a report.",
    discussion: """
      Measures what "Linux-based virtualization for HPC clusters" (2009) measured, with its method: 10 samples of each \
      point, their mean and 95 % confidence interval, and the processor time beside the throughput. The folder gets \
      report.json and report.html. A run that was interrupted goes on where it ended, if it gets the same folder. \
      A usual run takes up to 10 minutes, --quick up to 3; --full takes half a day.

        swiftlet reproduce --quick
        swiftlet reproduce cpu disk-write
        swiftlet reproduce --full --output report-2026

      Experiments: \(ReproductionOptions.Experiment.allCases.map(\.rawValue).joined(separator: ", ")).
      Exit status: 0, or 3 if an experiment was skipped or a point failed, or 128 and the number of the signal that ended it.
      """)

  @Argument(help: ArgumentHelp("Only these experiments.", valueName: "experiment"))
  var experiments: [String] = []

  @Flag(help: "Fewer points, and fewer and shorter samples.")
  var quick = false

  @Flag(help: "All points, and samples as long as the paper's: 60 s for networks.")
  var full = false

  @Option(help: ArgumentHelp("The folder of the report.", valueName: "folder"))
  var output = "swiftlet-report"

  @Flag(help: "Discard what the folder has, and measure everything again.")
  var again = false

  func run() throws {
    var options = ReproductionOptions(
      try chosen(), size: quick ? .quick : full ? .full : .usual,
      directory: FileManager.default.temporaryDirectory.path)
    options.executable = Program.again
    guard !quick || !full else {
      throw Failure("reproduce the paper", cause: "--quick and --full exclude each other", fix: "Use one of them.")
    }
    let system = try System()
    let folder = try ReportFolder(output)
    let template = Report(
      swiftlet: Swiftlet.configuration.version, date: Date.now.ISO8601Format(), command: "reproduce",
      host: HostDescription(),
      commandLine: CommandLine.arguments.joined(separator: " "), results: [])
    let known = try folder.begin(template, size: options.size, again: again)
    let interruption = Interruption()
    let signals = try InterruptSignals(end: { interruption.request() })
    defer { signals.restore() }
    let bar = ProgressBar()
    defer { bar.clear() }
    let reproduction = try Reproduction(options, known: known, system: system, interruption: interruption) { state in
      bar.show(state.progress, title: state.title)
      try folder.save(state)
    }
    do {
      try reproduction.run()
    } catch is Interrupted {
      bar.clear()
      try write(folder.finish(reproduction.state), to: folder)
      StandardError.print("swiftlet: interrupted. What was measured is in \(output). To go on, run the same command.")
      throw ExitCode(128 + signals.first)
    }
    bar.clear()
    let report = try folder.finish(reproduction.state)
    try write(report, to: folder)
    FileHandle.standardOutput.write(try ReportOutput.data([report], as: .table))
    for skipped in report.skipped ?? [] {
      StandardError.print("swiftlet: skipped \(skipped.experiment): \(skipped.reason)")
    }
    for failed in report.failures ?? [] { StandardError.print("swiftlet: \(failed.title) failed: \(failed.cause)") }
    print("\nThe report is in \(output)/report.html, and its numbers in \(output)/report.json.")
    guard report.skipped == nil, report.failures == nil else { throw ExitCode(3) }
  }

  private func write(_ report: Report, to folder: ReportFolder) throws {
    try folder.write(page: ReportOutput.data([report], as: .html))
  }

  private func chosen() throws -> [ReproductionOptions.Experiment] {
    let all = ReproductionOptions.Experiment.allCases
    let names = try experiments.map { name in
      guard let experiment = ReproductionOptions.Experiment(rawValue: name) else {
        throw Failure(
          "reproduce \(name)", cause: "there is no such experiment",
          fix: "Choose from: \(all.map(\.rawValue).joined(separator: ", ")).")
      }
      return experiment
    }
    return names.isEmpty ? all : all.filter(names.contains)
  }
}
