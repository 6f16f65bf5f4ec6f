import Foundation
import Glibc
import TestSupport
import Testing

@Suite("swiftlet reproduce", .serialized, .timeLimit(.minutes(10)))
struct ReproduceCommandTests {
  @Test(
    "an unknown experiment, and two sizes at a time, are refused before a folder is made",
    arguments: [
      Refusal("reproduce gpu", "there is no such experiment", "Choose from: cpu, disk-write"),
      Refusal("reproduce --quick --full", "--quick and --full exclude each other", "Use one of them"),
    ])
  func options(refusal: Refusal) throws { try refusal.check(in: TestFolder()) }

  @Test("a folder that cannot be made, or that holds another report, is refused before a measurement", .needsKVM)
  func folder() throws {
    let folder = try TestFolder()
    try folder.write([0x20], to: "file")
    try Refusal("reproduce cpu --quick --output file", "the folder cannot be made", "--output").check(in: folder)
    try FileManager.default.createDirectory(atPath: folder["report"], withIntermediateDirectories: false)
    try folder.write(Array("{}".utf8), to: "report/report.json")
    try Refusal("reproduce cpu --quick --output report", "it has no schema", "--format json").check(in: folder)
  }

  private struct Numbers: Decodable {
    struct Record: Decodable {
      struct Throughput: Decodable { var samples: [Double] }
      var throughput: Throughput
    }
    var results: [Record]
    var samples: Int { results.reduce(0) { $0 + $1.throughput.samples.count } }
  }

  private func numbers(_ folder: TestFolder) throws -> Numbers {
    try JSONDecoder().decode(Numbers.self, from: Data(folder.read("report/report.json")))
  }

  @Test("a run that is interrupted leaves its samples, and goes on with the same command", .needsKVM)
  func interrupted() throws {
    let folder = try TestFolder()
    let command = ["reproduce", "cpu", "--quick", "--output", "report"]
    let run = try CommandRun(command, in: folder)
    // The file is there before the first sample.
    while run.isRunning, access(folder["report/report.json"], F_OK) != 0 { usleep(1000) }
    usleep(700_000)
    run.interrupt()
    let first = run.wait()
    #expect(first.status == 128 + SIGINT, "\(first.errors)")
    #expect(first.errors.contains("run the same command"))
    let before = try numbers(folder)
    // 8 sides of 3 samples.
    #expect(before.samples < 24)
    #expect(folder.files == ["report/report.html", "report/report.json"])
    let second = try swiftlet(command, in: folder)
    #expect(second.status == 0 && second.errors == "", "\(second.errors)")
    #expect(second.output.contains("cpu 2 VMs") && second.output.contains("report/report.html"))
    let after = try numbers(folder)
    #expect(after.samples == 24)
    for (old, new) in zip(before.results, after.results) {
      #expect(new.throughput.samples.starts(with: old.throughput.samples))
    }
    #expect(folder.files == ["report/report.html", "report/report.json"])
    try Refusal("reproduce cpu --output report", "a run of the size 'quick', not 'usual'", "--again").check(in: folder)
  }

  @Test("under nohup, a hang-up does not end a run", .needsKVM)
  func hangUp() throws {
    let folder = try TestFolder()
    let run = try CommandRun(
      ["reproduce", "cpu", "--quick", "--output", "report"], in: folder, under: ["nohup"])
    while run.isRunning, access(folder["report/report.json"], F_OK) != 0 { usleep(1000) }
    usleep(300_000)
    run.send(SIGHUP)
    let result = run.wait()
    #expect(result.status == 0, "\(result.errors)")
    #expect(try numbers(folder).samples == 24)
  }

  @Test("compare that is interrupted ends with the signal's status and leaves no file", .needsKVM)
  func interruptedComparison() throws {
    let folder = try TestFolder()
    let run = try CommandRun(["compare", "--only", "disk", "--output", "report.txt"], in: folder)
    while run.isRunning, access(folder["report.txt"], F_OK) != 0 { usleep(1000) }
    usleep(500_000)
    run.interrupt()
    let result = run.wait()
    #expect(result.status == 128 + SIGINT && result.output == "", "\(result.errors)")
    #expect(folder.files == [])
  }
}

extension TestFolder {
  fileprivate var files: [String] {
    listing.compactMap { $0.split(separator: " ").first.map(String.init) }.filter { $0.contains(".") }
  }
}
