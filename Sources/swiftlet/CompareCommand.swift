import ArgumentParser
import Backends
import Failures
import Foundation
import KVM
import Measurement
import Reporting

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
        swiftlet report report.json --output report.html
      """)

  enum PeerName: String, CaseIterable, ExpressibleByArgument { case qemu }
  enum ProfileName: String, CaseIterable, ExpressibleByArgument { case year2009 = "2009" }

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

  @Option(help: "table, json, csv or html.")
  var format = ReportFormat.table

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
    options.executable = Program.again
    if peer != nil { options.peer = peerBinary ?? "qemu-system-x86_64" }
    if peer == nil, let peerBinary {
      throw Failure("measure beside \(peerBinary)", cause: "--peer is missing", fix: "Add --peer qemu.")
    }
    let target = try ReportTarget(output)
    defer { target.removeUnlessWritten() }
    let system = try System()
    let bar = ProgressBar()
    let host = HostDescription()
    let interruption = Interruption()
    let signals = try InterruptSignals(end: { interruption.request() })
    defer { signals.restore() }
    let comparison = try Comparison(options, system: system, interruption: interruption) {
      bar.show(done: $0, of: $1, title: $2)
    }
    defer { bar.clear() }
    let results: [Record]
    do {
      results = try comparison.run()
    } catch is Interrupted {
      // The deferred cleaning does not run if the process exits here.
      throw ExitCode(128 + signals.first)
    }
    bar.clear()
    let report = Report(
      swiftlet: Swiftlet.configuration.version, date: Date.now.ISO8601Format(), command: "compare", host: host,
      commandLine: CommandLine.arguments.joined(separator: " "),
      peer: comparison.peerVersion, peerFailure: comparison.peerFailure?.description,
      peerNetworkFailure: comparison.peerNetworkFailure?.description, results: results)
    try target.write(try ReportOutput.data([report], as: format))
  }
}
