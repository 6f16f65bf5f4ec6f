import Foundation
import Testing

@Suite("swiftlet report", .timeLimit(.minutes(10)))
struct ReportCommandTests {
  private static func json(schema: Int = 1, version: String = "swiftlet 0.1.0") -> [UInt8] {
    Array(
      """
      {"schema":\(schema),"swiftlet":"\(version)","commandLine":"swiftlet compare","host":{"cpu":"CPU","cores":2,
      "memoryBytes":1024,"kernel":"6.1","kvm":"svm","load":0.5},"results":[{"experiment":"disk-read","mode":"PV",
      "device":"virtio-blk","vmm":"swiftlet","parameters":{"blockBytes":4096},"operations":1000,
      "throughput":{"unit":"bytes/s","mean":8e6,"ci95":1e5,"samples":[7.9e6,8.1e6]},"perOperation":{},
      "cpuSeconds":{"vCPU":0.25,"io":0.125,"endpoint":0,"steal":0},"drops":{},"load":[0.5]}]}
      """.utf8)
  }

  @Test(
    "prints each format, HTML by default",
    arguments: [
      ([], "<!doctype html>"), (["--format", "html"], "<!doctype html>"), (["--format", "csv"], "experiment,mode,"),
      (["--format", "json"], "{\n  \"commandLine\""), (["--format", "table"], "CPU, 2 cores, Linux 6.1"),
    ] as [([String], String)])
  func formats(options: [String], start: String) throws {
    let folder = try TestFolder()
    try folder.write(Self.json(), to: "report.json")
    let result = try swiftlet(["report", "report.json"] + options, in: folder)
    #expect(result.status == 0 && result.errors == "")
    #expect(result.output.hasPrefix(start), "\(result.output.prefix(100))")
    #expect(!result.output.contains("pvm"), "the kind of KVM is the file's, not this host's")
  }

  @Test("writes a page about two files, and replaces an old report")
  func severalFiles() throws {
    let folder = try TestFolder()
    try folder.write(Self.json(), to: "before.json")
    try folder.write(Self.json(version: "swiftlet 0.2.0"), to: "after.json")
    try folder.write(Array(String(repeating: "old ", count: 100_000).utf8), to: "page.html")
    let result = try swiftlet(["report", "before.json", "after.json", "--output", "page.html"], in: folder)
    #expect(result.status == 0 && result.output == "" && result.errors == "")
    let page = String(decoding: try folder.read("page.html"), as: UTF8.self)
    #expect(page.contains("2 reports side by side") && page.contains("swiftlet 0.2.0") && page.hasSuffix("</html>\n"))
  }

  @Test("a report of another schema is refused, its version is named, and no file is left behind")
  func otherSchema() throws {
    let folder = try TestFolder()
    try folder.write(Self.json(schema: 2, version: "swiftlet 9.0.0"), to: "report.json")
    try Refusal(
      "report report.json --output page.html", "it has schema 2 of swiftlet 9.0.0", "the version that wrote it"
    ).check(in: folder)
  }

  @Test("the JSON of a report is read back without a change")
  func roundTrip() throws {
    let folder = try TestFolder()
    try folder.write(Self.json(), to: "report.json")
    let first = try swiftlet(["report", "report.json", "--format", "json"], in: folder).output
    try folder.write(Array(first.utf8), to: "again.json")
    #expect(try swiftlet(["report", "again.json", "--format", "json"], in: folder).output == first)
  }
}
