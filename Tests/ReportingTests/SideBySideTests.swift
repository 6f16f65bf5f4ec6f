import Foundation
import Measurement
import Testing

@testable import Reporting

@Suite("Several reports side by side, noise of the host, and the formats")
struct SideBySideTests {
  private func report(_ mean: Double, version: String = "swiftlet 0.1.0") throws -> Report {
    var report = try SampleReport.report([
      SampleReport.Side(experiment: "disk-read", mode: "PV", samples: [mean * 0.99, mean, mean * 1.01])
    ])
    report.swiftlet = version
    return report
  }

  @Test("each report has its columns, and a ratio to the first with its interval")
  func table() throws {
    let reports = [try report(100e6), try report(200e6, version: "swiftlet 0.2.0")]
    let page = Page(reports)
    let section = try #require(page.model.sections.first)
    let row = try #require(section.versus?.rows.first)
    #expect(row.cells[0] == "100 MB/s" && row.cells[1] == "200 MB/s" && row.cells[2].hasPrefix("2.00 ("))
    #expect(section.versus?.columns == ["point", "report 1", "report 2", "/ report 1"])
    #expect(
      section.panels.map(\.caption) == ["Report 1: CPU (pvm), swiftlet 0.1.0", "Report 2: CPU (pvm), swiftlet 0.2.0"])
    #expect(section.panels[0].plot.grid.map(\.text) == section.panels[1].plot.grid.map(\.text), "one scale")
    #expect(page.model.conclusions.contains { $0.sentence.contains("Report 2: Better than in report 1 at 1 ") })
    #expect(Page([try report(100e6)]).model.sections.first?.versus == nil)
  }

  @Test("equal reports make no statement, and are told apart by their files")
  func equal() throws {
    let page = Page([try report(100e6), try report(100e6)], names: ["/x/a.json", "b.json"])
    #expect(page.model.conclusions.isEmpty)
    #expect(page.model.sources.map(\.label).map { $0.suffix(6) } == ["a.json", "b.json"])
  }

  @Test("table, CSV and JSON of several reports; the JSON is read back")
  func formats() throws {
    let reports = [try report(100e6), try report(200e6, version: "swiftlet, 2")]
    let table = String(decoding: try ReportOutput.data(reports, as: .table), as: UTF8.self)
    #expect(table.contains("Side by side") && table.contains("2.00 ("))
    let csv = String(decoding: try ReportOutput.data(reports, as: .csv), as: UTF8.self).split(separator: "\n")
    #expect(csv.count == 3 && csv[0].hasPrefix("report,experiment") && csv[2].hasPrefix("\"CPU (pvm), swiftlet, 2\","))
    let json = try ReportOutput.data(reports, as: .json)
    let object = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
    let ratio = try #require((object["ratios"] as? [[String: Any]])?.first)
    #expect(ratio["ratio"] as? Double == 2 && ratio["report"] as? Int == 1)
    #expect((ratio["low"] as? Double ?? 3) < 2 && (ratio["high"] as? Double ?? 1) > 2)
    let again = try ReportFile(json, name: "").reports
    #expect(again.map(\.swiftlet) == reports.map(\.swiftlet))
  }

  @Test("text of a file cannot control the terminal")
  func terminal() throws {
    var report = try report(1)
    report.host.cpu = "\u{1B}]0;title\u{07}CPU"
    let table = try ReportOutput.data([report], as: .table)
    #expect(!table.contains(0x1B) && !table.contains(0x07))
  }

  @Test("a quiet host has no warning; load, steal and wide intervals have one each")
  func noise() throws {
    #expect(HostNoise.warnings(try report(100e6)).isEmpty)
    var busy = try report(100e6)
    busy.host.load = 1.5
    #expect(HostNoise.warnings(busy).first?.hasPrefix("The host was busy before the first sample") == true)
    var loaded = try report(100e6)
    loaded.results[0].load = [1, 20]
    #expect(HostNoise.warnings(loaded).first?.contains("before 1 of 2 samples, at most 20.0") == true)
    var stolen = try report(100)
    stolen.results[0].cpuSeconds.steal = 1
    #expect(HostNoise.warnings(stolen).first?.contains("more than 2\u{A0}%") == true)
    let wide = try SampleReport.report([SampleReport.Side(experiment: "cpu", mode: "host", samples: [1, 2, 3])])
    #expect(HostNoise.warnings(wide).first?.hasPrefix("1 of 1 rows have an interval wider") == true)
  }
}
