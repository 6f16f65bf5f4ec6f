import Measurement

/// The records of one point: the same experiment and parameters, on several sides.
struct Cluster {
  var experiment: Record.Experiment
  var parameters: Record.Parameters
  private(set) var records: [Series: Record] = [:]
  /// Whether the point's name has its accelerations that are off, because the points of a plot differ in them.
  var namesDisabled = false

  subscript(mode: Record.Mode) -> Record? { records[Series(mode)] }
  subscript(series: Series) -> Record? { records[series] }

  var series: [Series] { records.keys.sorted() }

  /// The unit of its records; all sides of a point have one unit.
  var unit: String { records.values.first?.unit ?? "" }

  /// Groups records into points, in the order of the file.
  static func clusters(of records: [Record]) -> [Cluster] {
    struct Key: Hashable {
      var experiment: Record.Experiment
      var parameters: Record.Parameters
      var unit: String
    }
    let isAblation = records.contains { $0.parameters.profile == nil && ($0.parameters.disabled?.count ?? 0) > 1 }
    var places: [Key: Int] = [:]
    var clusters: [Cluster] = []
    for record in records {
      let key = Key(experiment: record.experiment, parameters: record.parameters, unit: record.unit)
      let place = places[key] ?? clusters.count
      if place == clusters.count {
        var cluster = Cluster(experiment: record.experiment, parameters: record.parameters)
        cluster.namesDisabled = isAblation
        clusters.append(cluster)
        places[key] = place
      }
      // A file could repeat a record. The first one counts.
      if clusters[place].records[Series(record)] == nil { clusters[place].records[Series(record)] = record }
    }
    return clusters
  }

  /// Adds the host's record of another experiment, as the baseline.
  mutating func add(baseline: Record) {
    if records[Series(baseline)] == nil { records[Series(baseline)] = baseline }
  }

  // MARK: Names

  /// The varied values, for an axis: "4 KiB", "4 VMs".
  var label: String {
    var parts: [String] = []
    if let access = parameters.access { parts.append(access) }
    parts += parameters.hpccNames
    if let count = parameters.machineName(experiment) { parts.append(count) }
    if let block = parameters.blockName { parts.append(block) }
    if let depth = parameters.queueDepth, depth != 1 { parts.append("depth \(depth)") }
    if let frame = parameters.frameName { parts.append(frame) }
    if let exits = parameters.extraExits { parts.append("+\(exits) exits") }
    if namesDisabled { parts.append(disabled.isEmpty ? "all on" : "no \(disabled.joined(separator: ", "))") }
    return parts.isEmpty ? experiment.rawValue : parts.joined(separator: " ").visible
  }

  /// The values that are the same in a whole plot: how the points were measured.
  var condition: String {
    var parts: [String] = []
    if let profile = parameters.profile { parts.append("profile \(profile)") }
    if let direction = parameters.direction { parts.append("the guest \(direction == "send" ? "sends" : "receives")") }
    if let backend = parameters.backend { parts.append(Self.backends[backend] ?? backend) }
    if parameters.processes != nil { parts.append("each machine a process of its own") }
    if let cache = parameters.cache, cache != "none" { parts.append("cache \(cache)") }
    if series.contains(where: \.isPeer) { parts.append("beside QEMU") }
    if parameters.interrupts == "poll" { parts.append("guests poll") }
    if parameters.driverStyle == "linux" { parts.append("with the accesses of Linux's driver") }
    if !namesDisabled, parameters.profile == nil, !disabled.isEmpty {
      parts.append("without \(disabled.joined(separator: ", "))")
    }
    return parts.joined(separator: ", ").visible
  }

  /// The accelerations that are off. Polling is not one of them.
  private var disabled: [String] { parameters.disabled?.filter { $0 != "polling" } ?? [] }

  private static let backends = [
    "file": "a file on the host's disk", "memory": "a disk in memory", "switch": "the switch inside swiftlet",
    "tap": "taps on a bridge", "socketpair": "a pair of sockets",
  ]
}
