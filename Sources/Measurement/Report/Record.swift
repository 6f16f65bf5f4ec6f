/// One measured point, as in the JSON (schema 1).
package struct Record: Encodable, Sendable {
  package enum Experiment: String, Encodable, Sendable, CaseIterable {
    case cpu
    case diskWrite = "disk-write"
    case diskRead = "disk-read"
    case diskRandomRead = "disk-random-read"
    case netSend = "net-send"
    case netReceive = "net-receive"
    case netInterVM = "net-inter-vm"
    case netLatency = "net-latency"
    case loopback
    case start, memory, memcpy
    case netScale = "net-scale"
    case exitCost = "exit-cost"
    case exitModel = "exit-model"
    case hpccStream = "hpcc-stream"
    case hpccLatency = "hpcc-latency"
    case hpccBandwidth = "hpcc-bandwidth"
    case hpccTranspose = "hpcc-ptrans"
    case hpccLinpack = "hpcc-hpl"
  }

  package enum Mode: String, Encodable, Sendable {
    case fullVirtualization = "FV"
    case paravirtualization = "PV"
    case guest, host
  }

  package enum Device: String, Encodable, Sendable {
    case e1000, ide
    case virtioNet = "virtio-net"
    case virtioBlock = "virtio-blk"
    case cpu, none
  }

  /// The varied parameters. Records of one row differ only in mode, so equal parameters match them.
  package struct Parameters: Encodable, Sendable, Hashable {
    package var blockBytes: Int?
    package var frameBytes: Int?
    package var queueDepth: Int?
    package var framesPerDoorbell: Int?
    package var driverStyle: String?
    package var interrupts: String?
    package var vCPUs: Int?
    package var vms: Int?
    package var backend: String?
    package var cache: String?
    package var profile: String?
    package var disabled: [String]?
    /// The access of which `exit-cost` measures the cost.
    package var access: String?
    /// Exits that the guest adds to each operation.
    package var extraExits: Int?
    /// Threads, vCPUs or machines of one vCPU that compute together.
    package var ranks: Int?
    /// The kernel of STREAM: "copy", "scale", "add" or "triad".
    package var kernel: String?
    /// Elements of each array of STREAM, in all ranks together.
    package var elements: Int?
    package var messageBytes: Int?
    /// Who exchanges messages: "ping-pong", or a ring in "natural" or "random" order.
    package var order: String?
    /// Rows of the matrix.
    package var matrix: Int?
    package init() {}
  }

  package struct Throughput: Encodable, Sendable {
    package var unit: String
    package var mean: Double
    /// Nil for a single sample; null in the JSON.
    package var ci95: Double?
    package var samples: [Double]

    enum CodingKeys: CodingKey { case unit, mean, ci95, samples }

    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(unit, forKey: .unit)
      try container.encode(mean, forKey: .mean)
      try container.encode(ci95, forKey: .ci95)
      try container.encode(samples, forKey: .samples)
    }
  }

  package struct Latency: Encodable, Sendable {
    package var unit = "ns"
    package var p50: Double
    /// Nil where one sample is one operation.
    package var p99: Double?
    package var p999: Double?

    enum CodingKeys: CodingKey { case unit, p50, p99, p999 }

    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(unit, forKey: .unit)
      try container.encode(p50, forKey: .p50)
      try container.encode(p99, forKey: .p99)
      try container.encode(p999, forKey: .p999)
    }
  }

  package struct Size: Encodable, Sendable {
    package var unit = "bytes"
    package var mean: Double
  }

  /// How evenly several VMs share the total; means over all samples.
  package struct Fairness: Encodable, Sendable {
    /// Jain's index: 1 if all rates are equal, 1/n if one VM has everything.
    package var jain: Double
    /// The slowest VM's rate as a part of the mean rate.
    package var worstShare: Double

    /// - Returns: nil without rates.
    init?(rates samples: [[Double]]) {
      let sums = samples.filter { $0.contains { $0 > 0 } }.map { rates in
        (sum: rates.reduce(0, +), squares: rates.reduce(0) { $0 + $1 * $1 }, rates: rates)
      }
      guard !sums.isEmpty else { return nil }
      let count = Double(sums.count)
      jain = sums.reduce(0) { $0 + $1.sum * $1.sum / (Double($1.rates.count) * $1.squares) } / count
      worstShare = sums.reduce(0) { $0 + ($1.rates.min() ?? 0) * Double($1.rates.count) / $1.sum } / count
    }
  }

  /// Counts divided by operations. An unknown count is nil, and null in the JSON.
  package struct PerOperation: Encodable, Sendable {
    package var exits: Double?
    package var kernelExits: Double?
    package var doorbells: Double?
    package var coalesced: Double?
    package var interrupts: Double?
    package var bytesCopied: Double?

    enum CodingKeys: CodingKey { case exits, kernelExits, doorbells, coalesced, interrupts, bytesCopied }

    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(exits, forKey: .exits)
      try container.encode(kernelExits, forKey: .kernelExits)
      try container.encode(doorbells, forKey: .doorbells)
      try container.encode(coalesced, forKey: .coalesced)
      try container.encode(interrupts, forKey: .interrupts)
      try container.encode(bytesCopied, forKey: .bytesCopied)
    }
  }

  /// Mean processor time of a sample, in seconds.
  package struct CPUSeconds: Encodable, Sendable {
    package var vCPU: Double
    package var io: Double
    package var endpoint: Double
    package var steal: Double
    /// The cost of the virtual machine, without the measuring endpoint.
    package var total: Double { vCPU + io }

    enum CodingKeys: CodingKey { case vCPU, io, endpoint, steal }
  }

  package var experiment: Experiment
  package var mode: Mode
  package var device: Device
  package var vmm: String
  /// The command that ran the peer.
  package var commandLine: String?
  package var parameters: Parameters
  /// Mean operations of a sample.
  package var operations: Double
  package var throughput: Throughput?
  package var latency: Latency?
  package var size: Size?
  package var fairness: Fairness?
  package var perOperation: PerOperation
  package var cpuSeconds: CPUSeconds
  /// Dropped frames, by place.
  package var drops: [String: UInt64]
  /// Host load (1 minute) before each sample.
  package var load: [Double]
}

/// The output of `--format json`.
package struct Report: Encodable, Sendable {
  package var schema = 1
  package var swiftlet: String
  package var host: HostDescription
  package var commandLine: String
  /// The peer's version; nil without a peer.
  package var peer: String?
  /// Why the peer's rows are missing, and the command that installs it.
  package var peerFailure: String?
  /// Why only the peer's network rows are missing, and the command that helps.
  package var peerNetworkFailure: String?
  package var results: [Record]
  /// The cost of an exit, the gaps between FV and PV, and the check of the model; nil without the costs.
  package var exitAnalysis: ExitAnalysis?

  package init(
    swiftlet: String, host: HostDescription, commandLine: String, peer: String? = nil, peerFailure: String? = nil,
    peerNetworkFailure: String? = nil, results: [Record]
  ) {
    self.swiftlet = swiftlet
    self.host = host
    self.commandLine = commandLine
    self.peer = peer
    self.peerFailure = peerFailure
    self.peerNetworkFailure = peerNetworkFailure
    self.results = results
    exitAnalysis = ExitModel(results).map { ExitAnalysis($0, results) }
  }
}
