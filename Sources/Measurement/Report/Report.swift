/// The output of `--format json`.
package struct Report: Codable, Sendable {
  /// An experiment that this host could not run.
  package struct Skipped: Codable, Sendable, Equatable {
    package var experiment: String
    package var reason: String

    package init(experiment: String, reason: String) { (self.experiment, self.reason) = (experiment, reason) }
  }

  /// An experiment that ended with an error.
  package struct Failed: Codable, Sendable, Equatable {
    package var title: String
    package var cause: String

    package init(title: String, cause: String) { (self.title, self.cause) = (title, cause) }
  }

  package var schema = 1
  package var swiftlet: String
  /// When the report was made, as ISO 8601; nil in reports of older versions.
  package var date: String?
  /// The subcommand that measured: "compare" or "reproduce"; nil in reports of older versions.
  package var command: String?
  package var host: HostDescription
  package var commandLine: String
  /// The peer's version; nil without a peer.
  package var peer: String?
  /// Why the peer's rows are missing, and the command that installs it.
  package var peerFailure: String?
  /// Why only the peer's network rows are missing, and the command that helps.
  package var peerNetworkFailure: String?
  /// How much a reproduction measures; nil for other reports.
  package var size: String?
  package var results: [Record]
  package var skipped: [Skipped]?
  package var failures: [Failed]?
  /// The cost of an exit, the gaps between FV and PV, and the check of the model; nil without the costs.
  package var exitAnalysis: ExitAnalysis? { ExitModel(results).map { ExitAnalysis($0, results) } }

  package init(
    swiftlet: String, date: String? = nil, command: String? = nil, host: HostDescription, commandLine: String,
    peer: String? = nil, peerFailure: String? = nil, peerNetworkFailure: String? = nil, results: [Record],
    skipped: [Skipped] = [], failures: [Failed] = []
  ) {
    self.swiftlet = swiftlet
    self.date = date
    self.command = command
    self.host = host
    self.commandLine = commandLine
    self.peer = peer
    self.peerFailure = peerFailure
    self.peerNetworkFailure = peerNetworkFailure
    self.results = results
    self.skipped = skipped.isEmpty ? nil : skipped
    self.failures = failures.isEmpty ? nil : failures
  }

  private enum AnalysisKey: CodingKey { case exitAnalysis }

  private enum CodingKeys: CodingKey {
    case schema, swiftlet, date, command, host, commandLine, peer, peerFailure, peerNetworkFailure, size, results
    case skipped, failures
  }

  /// Encodes the stored fields and the analysis. A reader computes the analysis again from the results.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(schema, forKey: .schema)
    try container.encode(swiftlet, forKey: .swiftlet)
    try container.encodeIfPresent(date, forKey: .date)
    try container.encodeIfPresent(command, forKey: .command)
    try container.encode(host, forKey: .host)
    try container.encode(commandLine, forKey: .commandLine)
    try container.encodeIfPresent(peer, forKey: .peer)
    try container.encodeIfPresent(peerFailure, forKey: .peerFailure)
    try container.encodeIfPresent(peerNetworkFailure, forKey: .peerNetworkFailure)
    try container.encodeIfPresent(size, forKey: .size)
    try container.encode(results, forKey: .results)
    try container.encodeIfPresent(skipped, forKey: .skipped)
    try container.encodeIfPresent(failures, forKey: .failures)
    var analysis = encoder.container(keyedBy: AnalysisKey.self)
    try analysis.encodeIfPresent(exitAnalysis, forKey: .exitAnalysis)
  }
}
