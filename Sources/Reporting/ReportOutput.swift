import Failures
import Foundation
import Measurement

/// The formats of a report.
package enum ReportFormat: String, CaseIterable, Sendable { case table, json, csv, html }

/// One report or several, as the bytes of a file.
package enum ReportOutput {
  /// - Parameter names: the files' names, to tell reports of equal hosts and versions apart.
  package static func data(_ reports: [Report], names: [String] = [], as format: ReportFormat) throws -> Data {
    let sources = SourceReport.all(reports, names: names)
    switch format {
    case .html: return Data(try Page(reports, names: names).html().utf8)
    case .csv: return Data(csv(sources) { _ in true }.utf8)
    case .table:
      // Text of a file must not move the cursor of a terminal.
      return Data(
        table(sources).split(separator: "\n", omittingEmptySubsequences: false).map { String($0).visible }
          .joined(separator: "\n").utf8)
    case .json:
      return sources.count == 1 ? try sources[0].report.json() : try Combined(sources).json()
    }
  }

  /// The records that `isIncluded`, as CSV. With several reports, the first column names the report.
  static func csv(_ sources: [SourceReport], _ isIncluded: (Record) -> Bool) -> String {
    let parts = sources.map { source -> [Substring] in
      var part = source.report
      part.results = part.results.filter(isIncluded)
      return part.csv.split(separator: "\n")
    }
    guard parts.count > 1, let header = parts.first?.first else { return parts.joined().map { $0 + "\n" }.joined() }
    let lines = zip(sources, parts).flatMap { source, lines in
      lines.dropFirst().map { "\(Report.csvCell(source.label)),\($0)\n" }
    }
    return "report,\(header)\n" + lines.joined()
  }

  private static func table(_ sources: [SourceReport]) -> String {
    guard sources.count > 1 else { return sources.map { ReportTable($0.report).text }.joined() }
    let parts = sources.map { "\($0.title)\n\n\(ReportTable($0.report).text)" }
    let experiments = Evidence.experiments(of: sources.map(\.report))
    let rows = experiments.flatMap { experiment in
      (SideBySide.table(experiment, sources)?.rows ?? []).map { ["\(experiment.rawValue) \($0.head)"] + $0.cells }
    }
    let head = [""] + sources.indices.flatMap { $0 == 0 ? ["report 1"] : ["report \($0 + 1)", "/ report 1"] }
    return parts.joined(separator: "\n") + "\n"
      + ReportTable.grid("Side by side, with the 95 % interval of each ratio (Fieller)", [head] + rows) + "\n"
  }

  /// The JSON of several reports, with the ratios to the first one.
  private struct Combined: Encodable {
    struct Comparison: Encodable {
      var experiment: Record.Experiment
      var parameters: Record.Parameters
      var side: String
      /// The number of the report, from 0; its ratio is to report 0.
      var report: Int
      var ratio: Double
      @NullIfUnknown var low: Double?
      @NullIfUnknown var high: Double?
    }

    var schema = 1
    var reports: [Report]
    var ratios: [Comparison]

    init(_ sources: [SourceReport]) {
      reports = sources.map(\.report)
      ratios = SideBySide.rows(sources).flatMap { row in
        sources.indices.dropFirst().compactMap { index in
          row.ratio(index).map { ratio in
            Comparison(
              experiment: row.cluster.experiment, parameters: row.cluster.parameters, side: row.series.name,
              report: index, ratio: ratio.value, low: ratio.interval?.lowerBound, high: ratio.interval?.upperBound)
          }
        }
      }
    }

    func json() throws -> Data { try Report.encoded(self) }
  }
}
