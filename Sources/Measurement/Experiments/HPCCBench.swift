import Backends
import Boot
import CHPCC
import EventLoop
import Failures
import GuestImages
import KVM
import Machine

/// The experiments after HPCC: the host's threads, the vCPUs of one VM, and VMs of one vCPU over their NICs.
package final class HPCCBench {
  /// A program with its sizes: a row of the report, for one number of ranks.
  struct Load {
    var experiment: Record.Experiment
    var unit: String
    var parameters = Record.Parameters()
    var command = hpcc_command()
    /// The guest's program and its own words.
    var words: String
  }

  private let options: ComparisonOptions
  private let system: System
  private let loop: EventLoop
  /// Puts something between a rank's NIC and the switch; tests damage frames there.
  var wrap: (any NetworkBackend, _ rank: Int) -> any NetworkBackend = { backend, _ in backend }
  /// How long a rank waits for a message, in milliseconds.
  var patience = 10_000

  init(_ options: ComparisonOptions, system: System, loop: EventLoop) {
    self.options = options
    self.system = system
    self.loop = loop
  }

  /// A point has four sides, so that a sample of all takes about as long as one of another group.
  private var duration: UInt64 { options.duration / 4 }
  private var isShort: Bool { options.duration < 500_000_000 }

  var points: [Point] { points([1, 2, 4]) }

  /// All programs for each number of ranks, in the order of the experiments.
  func points(_ counts: [Int]) -> [Point] {
    counts.flatMap { ranks in loads(ranks: ranks).map { point($0, ranks: ranks) } }
      .sorted { Self.place($0.experiment) < Self.place($1.experiment) }
  }

  private static func place(_ experiment: Record.Experiment) -> Int {
    Record.Experiment.afterHPCC.firstIndex(of: experiment) ?? 0
  }

  /// All programs for a number of ranks. One rank has nobody to send to, and two are a ring in one order only.
  func loads(ranks: Int) -> [Load] {
    var loads = ["copy", "scale", "add", "triad"].map { Load.stream($0, elements: 1 << 23) }
    let orders = ranks == 1 ? [] : ranks == 2 ? ["ping-pong", "natural"] : ["natural", "random"]
    for bytes in [8, 2_000_000] { loads += orders.map { Load.ring($0, bytes: bytes) } }
    loads.append(.transpose(1024))
    loads.append(.linpack(isShort ? 768 : 1536))
    return loads
  }

  private func point(_ load: Load, ranks: Int) -> Point {
    var parameters = load.parameters
    parameters.ranks = ranks
    // The mode says what the ranks are: threads of the host, vCPUs of one guest, or VMs with one vCPU each (FV and PV).
    var sides = [
      Point.Side(mode: .host, device: .none, vmm: "none") { [self] in
        try HostHPCC(threads: ranks, load.command, duration: duration)
      },
      Point.Side(mode: .guest, device: .cpu, vmm: "swiftlet") { [self] in try oneMachine(load, ranks: ranks) },
    ]
    if ranks > 1 {
      for (mode, device, model) in NetworkBench.devices {
        sides.append(
          Point.Side(mode: mode, device: device, vmm: "swiftlet") { [self] in try machines(load, ranks: ranks, model) })
      }
    }
    return Point(
      experiment: load.experiment, parameters: parameters, unit: load.unit, sides: sides,
      title: "\(load.words), \(ranks) rank\(ranks > 1 ? "s" : "")")
  }

  private func configuration(_ load: Load, ranks: Int, here: Int) -> MachineConfiguration {
    var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
    configuration.vCPUs = here
    var command = load.command
    let memory = Int(hpcc_memory_bytes(&command, UInt32(ranks))) * here + Int(hpcc_shared_bytes(UInt32(here)))
    configuration.memorySize = (memory + (32 << 20)) & ~0xF_FFFF
    configuration.commandLine =
      "program=\(load.words) ranks=\(ranks) wait=1 samples=1000 patience-ms=\(patience) "
      + "duration-ms=\(max(1, duration / 1_000_000))"
    return configuration
  }

  /// Ranks are vCPUs.
  func oneMachine(_ load: Load, ranks: Int) throws -> any Sampled {
    try MachineSession(configuration(load, ranks: ranks, here: ranks), system: system, loop: loop)
  }

  /// Ranks are machines, which exchange messages over a switch.
  func machines(_ load: Load, ranks: Int, _ model: MachineConfiguration.NIC.Model) throws -> any Sampled {
    let network = NetworkSwitch(loop: loop)
    let ports = (0..<ranks).map { network.makePort(name: "rank \($0)") }
    let configurations = (0..<ranks).map { rank in
      var configuration = configuration(load, ranks: ranks, here: 1)
      configuration.commandLine +=
        " rank=\(rank) device=\(model == .e1000 ? "e1000" : "virtio-net") interrupts=\(options.interrupts)"
      let address = hpcc_address(UInt32(rank))
      configuration.nics = [
        .init(
          backend: wrap(ports[rank], rank), model: model,
          macAddress: (0..<6).map { UInt8(truncatingIfNeeded: address >> (8 * UInt64($0))) })
      ]
      return configuration
    }
    // The other ranks start first. They wait for the commands of rank 0.
    let followers = try Followers(configurations.dropFirst(), system: system, loop: loop)
    do {
      let session = try MachineSession(
        configurations[0], system: system, loop: loop, partners: followers.machines, network: ports.map(\.counters))
      return NetworkSession(session, keeping: [network]) {
        session.close()
        followers.close()
      }
    } catch {
      followers.close()
      throw error
    }
  }
}

/// The machines of all ranks but the first.
private final class Followers {
  private(set) var machines: [Machine] = []

  init(_ configurations: some Sequence<MachineConfiguration>, system: System, loop: EventLoop) throws {
    do {
      for var configuration in configurations {
        let console = GuestConsole()
        configuration.serial = console
        configuration.populatesMemory = true
        let machine = try Machine(configuration, system: system, loop: loop)
        machine.start()
        machines.append(machine)
        _ = try console.expect("serving", within: 60)
      }
    } catch {
      close()
      throw error
    }
  }

  func close() { for machine in machines { NetworkBench.end(machine) } }
}

extension HPCCBench.Load {
  private static let kernels = ["copy", "scale", "add", "triad"]
  private static let orders = ["ping-pong", "natural", "random"]

  private init(
    _ experiment: Record.Experiment, _ program: hpcc_program, unit: String, size: Int, words: String
  ) {
    self.experiment = experiment
    self.unit = unit
    self.words = "\(words) size=\(size)"
    command.program = program.rawValue
    command.size = UInt64(size)
  }

  /// - Parameter elements: of each array, in all ranks together.
  static func stream(_ kernel: String, elements: Int) -> Self {
    var load = Self(
      .hpccStream, HPCC_STREAM, unit: "bytes/s", size: elements, words: "hpcc-stream kernel=\(kernel)")
    load.command.variant = UInt32(kernels.firstIndex(of: kernel) ?? 0)
    (load.parameters.kernel, load.parameters.elements) = (kernel, elements)
    return load
  }

  /// Latency for small messages, bandwidth for large ones.
  static func ring(_ order: String, bytes: Int) -> Self {
    let experiment: Record.Experiment = bytes <= 1024 ? .hpccLatency : .hpccBandwidth
    var load = Self(experiment, HPCC_RING, unit: "bytes/s", size: bytes, words: "hpcc-ring order=\(order)")
    load.command.variant = UInt32(orders.firstIndex(of: order) ?? 0)
    (load.parameters.order, load.parameters.messageBytes) = (order, bytes)
    return load
  }

  static func transpose(_ rows: Int) -> Self {
    var load = Self(.hpccTranspose, HPCC_PTRANS, unit: "bytes/s", size: rows, words: "hpcc-ptrans")
    load.parameters.matrix = rows
    return load
  }

  static func linpack(_ rows: Int) -> Self {
    var load = Self(.hpccLinpack, HPCC_HPL, unit: "flop/s", size: rows, words: "hpcc-hpl")
    load.parameters.matrix = rows
    return load
  }
}
