/// One measured point, as in the JSON (schema 1).
package struct Record: Codable, Sendable {
  /// The name of an experiment. A file may have names that this version does not know.
  package struct Experiment: RawRepresentable, Codable, Sendable, Hashable {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }

    package static let cpu = Self(rawValue: "cpu")
    package static let diskWrite = Self(rawValue: "disk-write")
    package static let diskRead = Self(rawValue: "disk-read")
    package static let diskRandomRead = Self(rawValue: "disk-random-read")
    package static let netSend = Self(rawValue: "net-send")
    package static let netReceive = Self(rawValue: "net-receive")
    package static let netInterVM = Self(rawValue: "net-inter-vm")
    package static let netLatency = Self(rawValue: "net-latency")
    package static let loopback = Self(rawValue: "loopback")
    package static let start = Self(rawValue: "start")
    package static let memory = Self(rawValue: "memory")
    package static let memcpy = Self(rawValue: "memcpy")
    package static let netScale = Self(rawValue: "net-scale")
    package static let fairness = Self(rawValue: "fairness")
    package static let exitCost = Self(rawValue: "exit-cost")
    package static let exitModel = Self(rawValue: "exit-model")
    package static let diskAmplification = Self(rawValue: "disk-amplification")
    package static let netRemote = Self(rawValue: "net-remote")
    package static let hpccTranspose = Self(rawValue: "hpcc-ptrans")
    package static let hpccStream = Self(rawValue: "hpcc-stream")
    package static let hpccLatency = Self(rawValue: "hpcc-latency")
    package static let hpccBandwidth = Self(rawValue: "hpcc-bandwidth")
    package static let hpccLinpack = Self(rawValue: "hpcc-hpl")
  }

  package enum Mode: String, Codable, Sendable {
    case fullVirtualization = "FV"
    case paravirtualization = "PV"
    case guest, host
  }

  package enum Device: String, Codable, Sendable {
    case e1000, ide
    case virtioNet = "virtio-net"
    case virtioBlock = "virtio-blk"
    case cpu, none
  }

  /// The varied parameters. Records of one row differ only in mode, so equal parameters match them.
  package struct Parameters: Codable, Sendable, Hashable {
    package var blockBytes: Int?
    package var frameBytes: Int?
    package var queueDepth: Int?
    package var framesPerDoorbell: Int?
    package var driverStyle: String?
    package var interrupts: String?
    package var vCPUs: Int?
    package var vms: Int?
    /// From the guest's view: "send" or "receive".
    package var direction: String?
    package var backend: String?
    /// VMs that are processes of their own, as a user of `swiftlet run` has them; nil if they are part of the measuring
    /// process.
    package var processes: Int?
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
    /// How ranks exchange messages: "ping-pong" between two, or around a ring in "natural" or "random" order.
    package var order: String?
    /// Rows of the matrix.
    package var matrix: Int?
    package init() {}
  }

  package struct Throughput: Codable, Sendable {
    package var unit: String
    package var mean: Double
    /// Nil for a single sample.
    @NullIfUnknown package var ci95: Double?
    package var samples: [Double]
  }

  package struct Latency: Codable, Sendable {
    package var unit = "ns"
    package var p50: Double
    /// Nil where one sample is one operation.
    @NullIfUnknown package var p99: Double?
    @NullIfUnknown package var p999: Double?
    /// Half the width of the 95 % interval of `p50`; nil for a single sample.
    @NullIfUnknown package var ci95: Double?
    /// The median of each sample; nil in reports of older versions.
    package var samples: [Double]?
  }

  package struct Size: Codable, Sendable {
    package var unit = "bytes"
    package var mean: Double
  }

  /// How evenly several VMs share the total; means over all samples.
  package struct Fairness: Codable, Sendable {
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
  package struct PerOperation: Codable, Sendable {
    @NullIfUnknown package var exits: Double?
    @NullIfUnknown package var kernelExits: Double?
    @NullIfUnknown package var doorbells: Double?
    @NullIfUnknown package var coalesced: Double?
    @NullIfUnknown package var interrupts: Double?
    @NullIfUnknown package var bytesCopied: Double?
  }

  /// Mean processor time of a sample, in seconds.
  package struct CPUSeconds: Codable, Sendable {
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
  /// Bytes that had reached the block device when the last flush was reported as complete, for each byte written; the
  /// mean of all samples. Below 1, a loss of power would lose data that the guest believes safe.
  package var durableShare: Double?
  package var perOperation: PerOperation
  package var cpuSeconds: CPUSeconds
  /// Dropped frames, by place.
  package var drops: [String: UInt64]
  /// Host load (1 minute) before each sample.
  package var load: [Double]
  /// Processor time that the host's own hypervisor took during each sample, in seconds; nil in reports of older versions.
  package var steal: [Double]?
  /// Each sample as it was measured; nil in reports that are not continued.
  package var rawSamples: [MeasuredSample]?

  /// Whether `other` is the same side of the same point.
  func isTwin(of other: Record) -> Bool {
    experiment == other.experiment && mode == other.mode && device == other.device && vmm == other.vmm
      && parameters == other.parameters
  }
}
