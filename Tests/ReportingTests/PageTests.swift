import Failures
import Foundation
import Measurement
import Testing

@testable import Reporting

@Suite("The page")
struct PageTests {
  private func html(_ change: (inout [String: Any]) -> Void = { _ in }) throws -> String {
    try Page([try SampleReport.full(change)]).html()
  }

  @Test("each experiment has a section with its question, a plot with title and description, a table and CSV")
  func sections() throws {
    let report = try SampleReport.full()
    let page = Page([report])
    let html = try page.html()
    let names = Set(report.results.map(\.experiment.rawValue))
    #expect(Set(page.model.sections.map(\.id)) == names)
    for section in page.model.sections {
      #expect(!section.panels.isEmpty && !section.table.rows.isEmpty, "\(section.id)")
      let records = report.results.count { $0.experiment.rawValue == section.id }
      #expect(section.table.rows.count >= records)
      for panel in section.panels {
        #expect(html.contains("aria-labelledby=\"\(panel.plot.name)-t \(panel.plot.name)-d\""))
        #expect(
          html.contains("<title id=\"\(panel.plot.name)-t\">") && html.contains("<desc id=\"\(panel.plot.name)-d\">"))
      }
    }
    #expect(html.contains("Experiment gpu-render"))
    #expect(
      html.contains("2026-11-28T05:00:00Z") && html.contains("swiftlet compare") && html.contains("swiftlet 0.1.0"))
  }

  @Test("the page needs no network and no script")
  func selfContained() throws {
    let html = try html()
    #expect(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"))
    #expect(!html.contains("url(") && !html.contains("@import") && !html.contains("src="))
    #expect(html.contains("default-src 'none'"))
    #expect(!html.contains("{{"), "a tag that the engine does not know")
  }

  @Test("text of a hostile file is shown as text")
  func escaping() throws {
    let evil = "</style><script>alert(1)</script>\"'&\u{202E}\u{1B}[2J{{model}}"
    let html = try html { object in
      object["commandLine"] = evil
      object["swiftlet"] = evil
      object["date"] = evil
      object["peer"] = evil
      object["peerNetworkFailure"] = evil
      object["skipped"] = [["experiment": evil, "reason": evil]]
      object["failures"] = [["title": evil, "cause": evil]]
      var host = object["host"] as? [String: Any] ?? [:]
      host["cpu"] = evil
      host["kernel"] = evil
      object["host"] = host
      var results = object["results"] as? [[String: Any]] ?? []
      for index in results.indices {
        var parameters = results[index]["parameters"] as? [String: Any] ?? [:]
        for name in ["backend", "cache", "profile", "access"] { parameters[name] = evil }
        parameters["disabled"] = [evil, evil]
        results[index]["parameters"] = parameters
        results[index]["drops"] = [evil: UInt64.max]
        for value in ["throughput", "latency"] {
          guard var measured = results[index][value] as? [String: Any] else { continue }
          measured["unit"] = evil
          results[index][value] = measured
        }
      }
      object["results"] = results
    }
    #expect(!html.contains("<script") && !html.contains("\u{202E}") && !html.contains("\u{1B}"))
    #expect(html.contains("&lt;script&gt;alert(1)"))
    #expect(html.components(separatedBy: "</style>").count == 2)
  }

  @Test("the CSV of a section has all of its records, and nothing else")
  func csv() throws {
    let report = try SampleReport.full()
    for section in Page([report]).model.sections {
      let lines = try #require(section.csv.removingPercentEncoding).split(separator: "\n")
      #expect(lines.count == 1 + report.results.count { $0.experiment.rawValue == section.id })
      #expect(lines.dropFirst().allSatisfy { $0.hasPrefix("\(section.id),") })
      #expect(section.csv.allSatisfy { $0.isASCII && !"\"<>&' ,\n".contains($0) })
    }
  }

  @Test("the paper's numbers stand beside ours, with the ratio")
  func paper() throws {
    let sections = Page([try SampleReport.full()]).model.sections
    let table = try #require(sections.first { $0.id == "net-inter-vm" }?.then)
    // 1600e6 bytes/s are 12 800 Mbit/s: 1.6 of the host, and 15.74 times 813.2.
    let row = try #require(table.rows.first { $0.head == "KVM PV" })
    #expect(row.cells[0] == "813.2 Mbit/s, 0.18 of the host")
    #expect(row.cells[1] == "12800 Mbit/s, 1.60 of the host")
    #expect(row.cells[2].hasPrefix("15.7 ("))
    #expect(table.rows.first { $0.head == "Xen PV" }?.cells.suffix(2) == ["–", "–"])
  }

  @Test("a table that has a ratio of FV and PV names the kind of KVM")
  func kind() throws {
    for section in Page([try SampleReport.full()]).model.sections {
      guard let table = section.ratios else { continue }
      #expect(table.about.contains("pvm"), "\(section.id)")
    }
  }

  @Test("what was skipped, failed or dropped, and why QEMU is missing, is on the page")
  func skipped() throws {
    let html = try html {
      $0["peerFailure"] = "install it"
      var results = $0["results"] as? [[String: Any]] ?? []
      results[0]["drops"] = ["tap0": 3]
      $0["results"] = results
      $0["skipped"] = [["experiment": "net-remote", "reason": "no link"]]
      $0["failures"] = [["title": "hpcc-hpl", "cause": "out of memory"]]
    }
    #expect(html.contains("Not measured: net-remote.</strong> no link"))
    #expect(html.contains("Failed: hpcc-hpl.</strong> out of memory"))
    #expect(html.contains("QEMU was not measured: install it") && html.contains("Frames were dropped: tap0 3."))
  }

  @Test("each experiment of the catalogue has one description, with a question and how to read it")
  func catalogue() {
    let experiments = Figure.all.map(\.experiment)
    #expect(Set(experiments).count == experiments.count)
    #expect(experiments.count == 23)
    for figure in Figure.all {
      #expect(!figure.question.isEmpty && !figure.reading.isEmpty, "\(figure.experiment.rawValue)")
      #expect((figure.source == nil) == (figure.finding == nil), "\(figure.experiment.rawValue)")
    }
  }
}
