import ArgumentParser
import Backends
import Failures
import Foundation
import KVM
import Measurement

/// `swiftlet compare`: measures emulated hardware against virtio on this host.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Measure full virtualization against paravirtualization.",
    discussion: """
      Boots test guests that drive an IDE disk and an e1000 (FV), then virtio-blk and virtio-net (PV), over the same \
      backends. All data is verified. A full run takes up to 8 minutes, --quick up to 90 seconds; with a \
      peer, twice as long.

        swiftlet compare --quick
        swiftlet compare --only disk --repeat 7
        swiftlet compare --only disk,net --peer qemu
        swiftlet compare --only hpcc
        swiftlet compare --ablation --quick
        swiftlet compare --profile 2009 --quick
        swiftlet compare --format json --output report.json
      """)

  enum PeerName: String, CaseIterable, ExpressibleByArgument { case qemu }
  enum ProfileName: String, CaseIterable, ExpressibleByArgument { case year2009 = "2009" }
  enum Format: String, CaseIterable, ExpressibleByArgument { case table, json, csv }

  @Option(help: ArgumentHelp("Measure only these: cpu, disk, net, process, hpcc.", valueName: "groups"))
  var only: String?

  @Option(name: [.customLong("repeat")], help: ArgumentHelp("Samples of each point.", valueName: "n"))
  var repetitions: Int?

  @Flag(help: "Fewer and shorter samples.")
  var quick = false

  @Option(help: "Also measure disks and NICs under another VMM: qemu.")
  var peer: PeerName?

  @Option(help: ArgumentHelp("The QEMU executable.", valueName: "path"))
  var peerBinary: String?

  @Flag(help: "Instead: measure each device with each of its accelerations off, alone.")
  var ablation = false

  @Option(help: "Turn off the accelerations that KVM did not have in this year: 2009.")
  var profile: ProfileName?

  @Option(help: "table, json or csv.")
  var format = Format.table

  @Option(help: ArgumentHelp("Write the report to this file instead of standard output.", valueName: "file"))
  var output: String?

  func run() throws {
    var options = ComparisonOptions(isQuick: quick, directory: FileManager.default.temporaryDirectory.path)
    if let only {
      options.groups = []
      for name in only.split(separator: ",") {
        guard let group = ComparisonOptions.Group(rawValue: String(name)) else {
          throw Failure(
            "read --only \(only)", cause: "there is no group '\(name)'", fix: "Choose from: cpu,disk,net,process,hpcc.")
        }
        options.groups.insert(group)
      }
      guard !options.groups.isEmpty else {
        throw Failure("read --only", cause: "it is empty", fix: "Choose from: cpu,disk,net,process,hpcc.")
      }
    }
    if let repetitions {
      guard (1...1000).contains(repetitions) else {
        throw Failure("read --repeat \(repetitions)", cause: "it must be 1 to 1000", fix: "Use --repeat 5.")
      }
      options.repetitions = repetitions
    }
    options.ablates = ablation
    guard !ablation || !options.groups.isDisjoint(with: [.disk, .net]) else {
      throw Failure(
        "measure without accelerations", cause: "the groups cpu and process use none", fix: "Use --only disk,net.")
    }
    guard !ablation || peer == nil else {
      throw Failure("measure beside a peer", cause: "--ablation measures swiftlet alone", fix: "Use one of them.")
    }
    options.profile = profile.flatMap { Profile(rawValue: $0.rawValue) }
    if profile != nil, ablation || peer != nil {
      throw Failure(
        "measure a profile", cause: "--ablation and --peer measure swiftlet with its accelerations",
        fix: "Use one of them.")
    }
    options.executable = "/proc/\(getpid())/exe"
    if peer != nil { options.peer = peerBinary ?? "qemu-system-x86_64" }
    if peer == nil, let peerBinary {
      throw Failure("measure beside \(peerBinary)", cause: "--peer is missing", fix: "Add --peer qemu.")
    }
    // Opened now, so that a bad path fails before the measurement, not after it.
    let file = try output.map { path throws(Failure) in
      try OutputFile(
        path, .text, action: "write the report to \(path)", what: "a report", option: "--output", keepsContents: true)
    }
    var isWritten = false
    defer { if !isWritten { file?.removeIfMade() } }
    let system = try System()
    let bar = ProgressBar()
    let host = HostDescription()
    let comparison = try Comparison(options, system: system) { bar.show(done: $0, of: $1, title: $2) }
    defer { bar.clear() }
    let results = try comparison.run()
    bar.clear()
    let report = Report(
      swiftlet: Swiftlet.configuration.version, host: host, commandLine: CommandLine.arguments.joined(separator: " "),
      peer: comparison.peerVersion, peerFailure: comparison.peerFailure?.description,
      peerNetworkFailure: comparison.peerNetworkFailure?.description, results: results)
    let data = try text(report)
    if let file { try file.replaceContents(with: Array(data)) } else { FileHandle.standardOutput.write(data) }
    isWritten = true
  }

  private func text(_ report: Report) throws -> Data {
    switch format {
    case .table: Data(ReportTable(report).text.utf8)
    case .json: try report.json()
    case .csv: Data(report.csv.utf8)
    }
  }
}

/// Shows a run's progress on standard error, if that is a terminal.
final class ProgressBar {
  private static let width = 24
  private let isTerminal = isatty(2) == 1

  func show(done: Int, of total: Int, title: String) {
    guard isTerminal, total > 0 else { return }
    let filled = Self.width * done / total
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled)
    write("\r\u{1B}[K[\(bar)] \(done)/\(total) \(title)")
  }

  func clear() { if isTerminal { write("\r\u{1B}[K") } }

  private func write(_ text: String) { StandardError.write(text) }
}
