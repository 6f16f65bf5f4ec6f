import Failures
import Foundation

/// The scope of a reproduction of the paper.
package struct ReproductionOptions: Sendable {
  /// The experiments, in the order of the paper. `fairness` is its open question.
  package enum Experiment: String, CaseIterable, Sendable, Codable {
    case cpu
    case diskWrite = "disk-write"
    case diskAmplification = "disk-amplification"
    case netInterVM = "net-inter-vm"
    case netRemote = "net-remote"
    case netScale = "net-scale"
    case hpccTranspose = "hpcc-ptrans"
    case hpccStream = "hpcc-stream"
    case hpccLatency = "hpcc-latency"
    case hpccBandwidth = "hpcc-bandwidth"
    case hpccLinpack = "hpcc-hpl"
    case fairness
  }

  /// How much is measured. Samples of runs with different sizes must not be mixed.
  package enum Size: String, Sendable, Codable {
    case quick, usual, full
  }

  package var experiments: [Experiment]
  package var size: Size
  package var repetitions: Int
  /// Length of a sample in nanoseconds, of disks and processors, and of networks.
  package var duration: UInt64
  package var networkDuration: UInt64
  /// Bytes of the disk that the experiments use.
  package var diskSpan: Int
  /// More than a sample writes: a block that is written twice may reach the device once.
  package var amplificationSpan: Int
  /// The longest sample of such a disk, in nanoseconds.
  package static var amplificationDuration: UInt64 { 200_000_000 }
  package var cpuCounts: [Int]
  package var vmCounts: [Int]
  /// The same, with each VM in a process of its own.
  package var processCounts: [Int]
  /// Ranks of the kernels after HPCC.
  package var rankCounts: [Int]
  /// Frames between VMs, and with the host.
  package var frames: [Int]
  /// Block sizes without the page cache, and with it.
  package var blocks: [Int]
  package var cachedBlocks: [Int]
  /// Where the disks are. They have no name, and disappear with the run.
  package var directory: String
  /// The executable `swiftlet`, for VMs in processes of their own; nil to keep them in this process.
  package var executable: String?
  /// Makes the network namespaces. A test puts a refusal here.
  var unshare: TapNetwork.Unshare = TapNetwork.unshare

  /// - Parameter processors: those of this host. CPU experiments go up to twice as many.
  package init(
    _ experiments: [Experiment] = Experiment.allCases, size: Size, directory: String,
    processors: Int = ProcessInfo.processInfo.activeProcessorCount
  ) {
    self.experiments = experiments
    self.size = size
    self.directory = directory
    let isQuick = size == .quick
    repetitions = isQuick ? 3 : 10
    (duration, networkDuration) =
      switch size {
      case .quick: (100_000_000, 100_000_000)
      case .usual: (200_000_000, 200_000_000)
      case .full: (5_000_000_000, 60_000_000_000)
      }
    diskSpan = isQuick ? 16 << 20 : 64 << 20
    amplificationSpan = 2 << 30
    let powers = (0..<8).map { 1 << $0 }.filter { $0 <= max(2, 2 * processors) }
    cpuCounts = isQuick ? powers.filter { $0 <= processors } : powers
    vmCounts = isQuick ? [1, 4] : [1, 2, 4, 8]
    processCounts = isQuick ? [4] : size == .usual ? [1, 4] : vmCounts
    rankCounts = isQuick ? [2] : [1, 2, 4]
    frames = isQuick ? [NetworkBench.messageFrame] : [1514, NetworkBench.messageFrame]
    let steps = (9...22).map { 1 << $0 }
    switch size {
    case .quick: (blocks, cachedBlocks) = ([4096, 65_536, 4 << 20], [65_536])
    case .usual: (blocks, cachedBlocks) = ([512, 4096, 16_384, 65_536, 1 << 20, 4 << 20], [4096, 65_536, 4 << 20])
    case .full: (blocks, cachedBlocks) = (steps, steps)
    }
  }

  /// The same scope for a bench of `compare`.
  func bench(duration: UInt64, diskSpan: Int = 0) -> ComparisonOptions {
    var options = ComparisonOptions(isQuick: size == .quick, directory: directory)
    options.repetitions = repetitions
    options.duration = duration
    options.diskSpan = diskSpan
    options.unshare = unshare
    options.executable = executable
    return options
  }
}

/// What the host has left for guests and their disks.
package struct HostRoom: Sendable {
  package var memory: UInt64
  package var disk: UInt64

  package init(memory: UInt64, disk: UInt64) { (self.memory, self.disk) = (memory, disk) }

  /// `MemAvailable`, and the free bytes of the file system of `folder`.
  package init(folder: String) {
    let text = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    let kibibytes = line.flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { UInt64($0) }
    memory = kibibytes.map { $0 << 10 } ?? .max
    let free = try? FileManager.default.attributesOfFileSystem(forPath: folder)[.systemFreeSize] as? NSNumber
    disk = free?.uint64Value ?? .max
  }
}

/// What an experiment needs of the host.
struct HostNeed {
  var memory: UInt64 = 0
  var disk: UInt64 = 0

  /// - Returns: why `room` is too small; nil if it is not.
  func refusal(_ room: HostRoom) -> Failure? {
    func mebibytes(_ bytes: UInt64) -> String { "\(bytes >> 20) MiB" }
    if memory > room.memory {
      return Failure(
        "start its guests", cause: "they need \(mebibytes(memory)) of memory, and \(mebibytes(room.memory)) are free",
        fix: "Close other programs.")
    }
    if disk > room.disk {
      return Failure(
        "make its disks", cause: "they need \(mebibytes(disk)), and \(mebibytes(room.disk)) are free",
        fix: "Name another folder with TMPDIR=FOLDER.")
    }
    return nil
  }
}
