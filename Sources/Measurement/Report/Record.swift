/// One measured point, as the JSON shows it (schema 1).
public struct Record: Encodable, Sendable {
  public enum Experiment: String, Encodable, Sendable, CaseIterable {
    case cpu
    case diskWrite = "disk-write"
    case diskRead = "disk-read"
    case diskRandomRead = "disk-random-read"
    case netSend = "net-send"
    case netReceive = "net-receive"
    case netInterVM = "net-inter-vm"
    case netLatency = "net-latency"
    case loopback
  }

  public enum Mode: String, Encodable, Sendable {
    case fullVirtualization = "FV"
    case paravirtualization = "PV"
    case guest, host
  }

  public enum Device: String, Encodable, Sendable {
    case e1000, ide
    case virtioNet = "virtio-net"
    case virtioBlock = "virtio-blk"
    case cpu, none
  }

  /// What was varied; rows that differ in mode only carry equal parameters, which is how they are matched.
  public struct Parameters: Encodable, Sendable, Hashable {
    public var blockBytes: Int?
    public var frameBytes: Int?
    public var queueDepth: Int?
    public var framesPerDoorbell: Int?
    public var driverStyle: String?
    public var interrupts: String?
    public var vCPUs: Int?
    public var vms: Int?
    public var backend: String?
    public var cache: String?
    public var profile: String?
    public var disabled: [String]?
    public init() {}
  }

  public struct Throughput: Encodable, Sendable {
    public var unit: String
    public var mean: Double
    /// Nil for a single sample, and written as null.
    public var ci95: Double?
    public var samples: [Double]

    enum CodingKeys: CodingKey { case unit, mean, ci95, samples }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(unit, forKey: .unit)
      try container.encode(mean, forKey: .mean)
      try container.encode(ci95, forKey: .ci95)
      try container.encode(samples, forKey: .samples)
    }
  }

  public struct Latency: Encodable, Sendable {
    public var unit = "ns"
    public var p50: Double
    public var p99: Double
    public var p999: Double
  }

  /// Counts divided by operations; nil is what is not known, and is written as null.
  public struct PerOperation: Encodable, Sendable {
    public var exits: Double?
    public var kernelExits: Double?
    public var doorbells: Double?
    public var coalesced: Double?
    public var interrupts: Double?
    public var bytesCopied: Double?

    enum CodingKeys: CodingKey { case exits, kernelExits, doorbells, coalesced, interrupts, bytesCopied }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(exits, forKey: .exits)
      try container.encode(kernelExits, forKey: .kernelExits)
      try container.encode(doorbells, forKey: .doorbells)
      try container.encode(coalesced, forKey: .coalesced)
      try container.encode(interrupts, forKey: .interrupts)
      try container.encode(bytesCopied, forKey: .bytesCopied)
    }
  }

  /// Processor time of a sample, in seconds, mean over the samples.
  public struct CPUSeconds: Encodable, Sendable {
    public var vCPU: Double
    public var io: Double
    public var endpoint: Double
    public var steal: Double
    /// What the virtual machine costs: not the end-point that measures it.
    public var total: Double { vCPU + io }

    enum CodingKeys: CodingKey { case vCPU, io, endpoint, steal }
  }

  public var experiment: Experiment
  public var mode: Mode
  public var device: Device
  public var vmm: String
  public var parameters: Parameters
  /// Operations of a sample, mean.
  public var operations: Double
  public var throughput: Throughput?
  public var latency: Latency?
  public var perOperation: PerOperation
  public var cpuSeconds: CPUSeconds
  /// Frames lost, by hop.
  public var drops: [String: UInt64]
  /// Host load (1 minute) before each sample.
  public var load: [Double]
}

/// What `--format json` prints.
public struct Report: Encodable, Sendable {
  public var schema = 1
  public var swiftlet: String
  public var host: HostDescription
  public var commandLine: String
  public var results: [Record]

  public init(swiftlet: String, host: HostDescription, commandLine: String, results: [Record]) {
    self.swiftlet = swiftlet
    self.host = host
    self.commandLine = commandLine
    self.results = results
  }
}
