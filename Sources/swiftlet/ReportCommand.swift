import ArgumentParser
import Measurement
import Reporting

/// `swiftlet report`: renders reports again, and compares several of them.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Make a page, a table or CSV from reports in JSON.",
    discussion: """
      Reads the JSON of compare and reproduce. The page needs neither a network nor a script. With several files, it shows them \
      side by side, with ratios to the first one.

        swiftlet compare --quick --format json --output report.json
        swiftlet report report.json --output report.html
        swiftlet report before.json after.json --format table
      """)

  @Argument(help: "The reports.")
  var files: [String]

  @Option(help: "html, table, csv or json.")
  var format = ReportFormat.html

  @Option(help: ArgumentHelp("Write to this file instead of standard output.", valueName: "file"))
  var output: String?

  func run() throws {
    var reports: [Report] = []
    var names: [String] = []
    for path in files {
      let found = try ReportFile(path: path).reports
      reports += found
      names += found.map { _ in path }
    }
    let target = try ReportTarget(output)
    defer { target.removeUnlessWritten() }
    try target.write(try ReportOutput.data(reports, names: names, as: format))
  }
}
