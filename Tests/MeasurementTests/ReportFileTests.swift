import Failures
import Foundation
import Testing

@testable import Measurement

@Suite("Reading reports from JSON")
struct ReportFileTests {
  /// A record and a report as an older version of schema 1 wrote them.
  private static let record = """
    {"experiment":"disk-read","mode":"PV","device":"virtio-blk","vmm":"swiftlet","parameters":{"blockBytes":4096},
    "operations":1000,"throughput":{"unit":"bytes/s","mean":8e6,"ci95":null,"samples":[8e6]},
    "perOperation":{"exits":0,"kernelExits":5,"doorbells":null,"coalesced":null,"interrupts":null,"bytesCopied":null},
    "cpuSeconds":{"vCPU":0.25,"io":0.125,"endpoint":0,"steal":0},"drops":{},"load":[0.5]}
    """

  private static func text(_ results: String = record, schema: String = "1") -> String {
    """
    {"schema":\(schema),"swiftlet":"swiftlet 0.1.0","commandLine":"swiftlet compare","host":{"cpu":"CPU","cores":2,
    "memoryBytes":1024,"kernel":"6.1","kvm":"pvm","load":0.5},"results":[\(results)]}
    """
  }

  private func read(_ text: String) throws(Failure) -> [Report] {
    try ReportFile(Data(text.utf8), name: "report.json").reports
  }

  @Test("a report of an older version has no date, command, skipped experiments or failures")
  func older() throws {
    let report = try #require(try read(Self.text()).first)
    #expect(report.date == nil && report.command == nil && report.skipped == nil && report.failures == nil)
    let record = try #require(report.results.first)
    #expect(record.experiment == .diskRead && record.mode == .paravirtualization && record.device == .virtioBlock)
    #expect(record.throughput?.ci95 == nil && record.perOperation.exits == 0 && record.perOperation.doorbells == nil)
    #expect(record.perOperation.kernelExits == 5 && record.load == [0.5] && record.steal == nil)
    #expect(report.host.kvmSentence.contains("pvm"))
  }

  @Test("what a report writes, it reads back, with all of its fields")
  func roundTrip() throws {
    var report = try #require(try read(Self.text()).first)
    report.date = "2026-11-28T05:00:00Z"
    report.command = "reproduce"
    report.skipped = [Report.Skipped(experiment: "net-remote", reason: "there is no link")]
    report.failures = [Report.Failed(title: "disk", cause: "it is full")]
    report.results[0].steal = [0.25]
    let again = try #require(try ReportFile(report.json(), name: "").reports.first)
    #expect(try again.json() == report.json())
    #expect(again.skipped == report.skipped && again.failures == report.failures && again.date == report.date)
  }

  @Test("the analysis of a read report is computed from its records")
  func analysis() throws {
    func cost(_ access: String, _ rate: Int) -> String {
      """
      {"experiment":"exit-cost","mode":"guest","device":"e1000","vmm":"swiftlet","parameters":{"access":"\(access)"},
      "operations":1,"throughput":{"unit":"operations/s","mean":\(rate),"ci95":0,"samples":[\(rate),\(rate)]},
      "perOperation":{},"cpuSeconds":{"vCPU":0,"io":0,"endpoint":0,"steal":0},"drops":{},"load":[]}
      """
    }
    let costs = [cost("exit", 20_000), cost("kick", 200_000), cost("coalesced", 250_000)].joined(separator: ",")
    let report = try #require(try read(Self.text(costs)).first)
    #expect(report.exitAnalysis?.exit.mean == 50_000)
    let again = try #require(try ReportFile(report.json(), name: "").reports.first)
    #expect(again.exitAnalysis?.kick.mean == 5000)
  }

  @Test("an experiment of a later version is kept, and several reports may be in one file")
  func later() throws {
    let later = Self.record.replacing("disk-read", with: "gpu-render")
    #expect(try read(Self.text(later)).first?.results.first?.experiment.rawValue == "gpu-render")
    let both = "{\"schema\":1,\"reports\":[\(Self.text()),\(Self.text(later))]}"
    #expect(try read(both).count == 2)
  }

  @Test("a file of another schema is refused, and its version is named")
  func otherSchema() throws {
    let failure = #expect(throws: Failure.self) { try read(Self.text("{\"new\":[]}", schema: "2")) }
    #expect(failure?.cause == "it has schema 2 of swiftlet 0.1.0, and this version reads schema 1")
    #expect(failure?.fix?.contains("version that wrote it") == true)
  }

  @Test(
    "a damaged file is one line with cause and fix",
    arguments: [
      ("", "it is empty"),
      ("[]", "the report has the wrong type"),
      ("{}", "it has no schema"),
      ("{\"schema\":1}", "is missing"),
      (String(text().dropLast(40)), "damaged or was cut off"),
      (text() + "}", "damaged or was cut off"),
      ("\u{0}\u{1}", "damaged or was cut off"),
      (text(record.replacing("\"PV\"", with: "\"XV\"")), "results[0].mode has an unknown value"),
      (text(record.replacing("\"virtio-blk\"", with: "\"a\\nb\"")), "results[0].device has an unknown value"),
      (text(record.replacing("disk-read", with: "<b>")), "results[0].experiment is '<b>', not a name"),
      (text(record.replacing("8e6,\"ci95\"", with: "-8e6,\"ci95\"")), "results[0].throughput.mean is negative"),
      (text(record.replacing("[8e6]", with: "[8e6,-1]")), "results[0].throughput.samples[1] is negative"),
      (text(record.replacing("[8e6]", with: "[1e999]")), "report.json: "),
      (text(record.replacing("[8e6]", with: "[NaN]")), "damaged or was cut off"),
      (text(record.replacing("[8e6]", with: "[null]")), "results[0].throughput.samples[0] is null"),
      (text(record.replacing("\"operations\":1000,", with: "")), "results[0].operations is missing"),
      (text(record.replacing("\"throughput\"", with: "\"other\"")), "neither throughput, latency nor size"),
      (text().replacing("\"pvm\"", with: "\"xen\""), "host.kvm is 'xen', which is unknown"),
      (text(record.replacing("4096", with: "\"4096\"")), "results[0].parameters.blockBytes has the wrong type"),
      (text(record.replacing("\"drops\":{}", with: "\"drops\":{\"\\u001b[2J\":-1}")), "is negative: -1"),
    ])
  func damaged(text: String, cause: String) throws {
    let failure = #expect(throws: Failure.self) { try read(text) }
    let line = try #require(failure).description
    #expect(line.hasPrefix("read the report report.json: ") && line.contains(cause), "\(line)")
    #expect(line.hasSuffix("swiftlet compare --format json --output FILE"), "\(line)")
    #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(line)")
  }

  @Test("every beginning of a file is refused, and none traps")
  func beginnings() {
    let data = Data(Self.text().utf8)
    for count in 0..<data.count {
      #expect(throws: Failure.self) { try ReportFile(data.prefix(count), name: "") }
    }
  }

  @Test("a file that does not exist, and a directory")
  func unreadable() {
    #expect(throws: Failure.self) { try ReportFile(path: "/nowhere/report.json") }
    #expect(throws: Failure.self) { try ReportFile(path: "/") }
  }
}
