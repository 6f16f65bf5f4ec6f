import Backends
import Boot
import EventLoop
import Failures
import Foundation
import GuestImages
import KVM
import Machine

/// The disk experiments (Fig. 4 of the paper): IDE and virtio-blk, and the host itself, on one storage object.
final class DiskBench {
  static let devices: [(Record.Mode, Record.Device, MachineConfiguration.Disk.Model)] = [
    (.fullVirtualization, .ide, .ide), (.paravirtualization, .virtioBlock, .virtio),
  ]

  let options: ComparisonOptions
  private let system: System
  private let loop: EventLoop
  let file: UnnamedFile
  private let storage: FileStorage
  let cache: StorageCacheMode

  /// Uses O_DIRECT, or else the page cache if the file system does not support it. The rows then report that.
  convenience init(_ options: ComparisonOptions, system: System, loop: EventLoop) throws {
    do {
      try self.init(options, cache: .none, system: system, loop: loop)
    } catch {
      try self.init(options, cache: .writeback, system: system, loop: loop)
    }
  }

  init(_ options: ComparisonOptions, cache: StorageCacheMode, system: System, loop: EventLoop) throws {
    self.options = options
    self.system = system
    self.loop = loop
    self.cache = cache
    file = try UnnamedFile(in: options.directory, size: options.diskSpan)
    storage = try FileStorage(path: file.path, cache: cache, isReadOnly: false, loop: loop, counters: loop.counters)
  }

  func close() { storage.close() }

  /// FV, PV and the host.
  var points: [Point] {
    var points: [Point] = []
    for operation in [HostDisk.Operation.write, .read] {
      for block in [4096, 65_536, 1 << 20] {
        points.append(point(Load(operation, block: block, interrupts: options.interrupts)))
      }
    }
    for depth in [1, 32] {
      points.append(point(Load(.randomRead, block: 4096, depth: depth, interrupts: options.interrupts)))
    }
    return points
  }

  /// The accelerations that the profile turns off.
  private var switches: [AccelerationSwitch] { options.profile?.diskSwitches ?? [] }

  private func point(_ load: Load) -> Point {
    Point(
      experiment: load.experiment, parameters: parameters(load), unit: load.unit,
      sides: [
        host(load),
        Point.Side(mode: .fullVirtualization, device: .ide, vmm: "swiftlet") { [self] in
          try guest(load, .ide, disabled: Set(switches))
        },
        Point.Side(mode: .paravirtualization, device: .virtioBlock, vmm: "swiftlet") { [self] in
          try guest(load, .virtio, disabled: Set(switches))
        },
      ],
      title: load.title)
  }

  // MARK: Without an acceleration

  var ablations: [Point] {
    let loads = [Load(.read, block: 4096), Load(.randomRead, block: 4096, depth: 32)]
    return loads.flatMap { load in
      Self.devices.map { mode, device, model in
        Point.ablation(
          load.experiment, parameters(load), unit: load.unit, mode: mode, device: device, title: load.title
        ) { [self] in try guest(load, model, disabled: $0) }
      }
    }
  }

  // MARK: With exits added

  /// Reads with four exits more for each, on which the model of the gap is checked.
  var exitModels: [Point] {
    let load = Load(.read, block: 4096)
    return Self.devices.map { mode, device, model in
      Point.exitModel(parameters(load), unit: load.unit, mode: mode, device: device, adding: 4, title: load.title) {
        [self] in try guest(load, model, words: $0)
      }
    }
  }

  // MARK: Beside QEMU

  /// Each device under swiftlet and under QEMU.
  ///
  /// The IDE guest polls, because QEMU raises INTx by KVM_IRQ_LINE. On this software KVM that wakes a halted vCPU only
  /// after 70 ms.
  func points(beside peer: Peer) -> [Point] {
    var loads: [(Load, MachineConfiguration.Disk.Model)] = []
    for operation in [HostDisk.Operation.write, .read] {
      for block in [4096, 65_536, 1 << 20] { loads.append((Load(operation, block: block), .virtio)) }
    }
    for depth in [1, 32] { loads.append((Load(.randomRead, block: 4096, depth: depth), .virtio)) }
    for style in ["lean", "linux"] {
      for operation in [HostDisk.Operation.write, .read] {
        for block in [4096, 65_536, 1 << 20] {
          loads.append((Load(operation, block: block, interrupts: "poll", style: style), .ide))
        }
      }
    }
    return loads.map { point($0, $1, beside: peer) }
  }

  private func point(_ load: Load, _ model: MachineConfiguration.Disk.Model, beside peer: Peer) -> Point {
    let (mode, device): (Record.Mode, Record.Device) =
      model == .ide ? (.fullVirtualization, .ide) : (.paravirtualization, .virtioBlock)
    let sides = [
      host(load), Point.Side(mode: mode, device: device, vmm: "swiftlet") { [self] in try guest(load, model) },
      Point.Side(mode: mode, device: device, vmm: "qemu") { [self] in
        try ProcessSession(
          peer.program, kernel: peer.kernel.path, commandLine: line(load, model), arguments: drive(model))
      },
    ]
    return Point(
      experiment: load.experiment, parameters: parameters(load, polls: true), unit: load.unit, sides: sides,
      title: "\(load.title), beside QEMU", polls: true)
  }

  /// QEMU's arguments for the same file and cache mode. Locking is off, because this process holds the lock.
  private func drive(_ model: MachineConfiguration.Disk.Model) -> [String] {
    let access = cache == .none ? "cache=none,aio=native" : "cache=writeback"
    let drive = [
      "-m", "128", "-object", "iothread,id=io0", "-drive",
      "if=none,id=d0,format=raw,file=\(file.path),file.locking=off,\(access)",
    ]
    switch model {
    case .ide: return drive + ["-device", "ide-hd,drive=d0,bus=ide.0,unit=0"]
    case .virtio: return drive + ["-device", "virtio-blk-pci,drive=d0,disable-legacy=on,iothread=io0"]
    }
  }

  // MARK: One load

  /// The disk load of a guest's program, or of the host in its place.
  struct Load {
    var operation: HostDisk.Operation
    var block: Int
    var depth: Int
    var interrupts: String
    var style: String

    init(
      _ operation: HostDisk.Operation, block: Int, depth: Int = 1, interrupts: String = "irq", style: String = "lean"
    ) {
      (self.operation, self.block, self.depth) = (operation, block, depth)
      (self.interrupts, self.style) = (interrupts, style)
    }

    var name: String {
      switch operation {
      case .write: "write"
      case .read: "read"
      case .randomRead: "random-read"
      }
    }
    var experiment: Record.Experiment {
      switch operation {
      case .write: .diskWrite
      case .read: .diskRead
      case .randomRead: .diskRandomRead
      }
    }
    var unit: String { operation == .randomRead ? "operations/s" : "bytes/s" }
    var title: String { "disk \(name), \(block) bytes, depth \(depth)" }
  }

  func parameters(_ load: Load, polls: Bool = false) -> Record.Parameters {
    var parameters = Record.Parameters()
    parameters.blockBytes = load.block
    parameters.queueDepth = load.depth
    parameters.interrupts = load.interrupts
    parameters.driverStyle = load.style
    parameters.vCPUs = 1
    parameters.backend = "file"
    parameters.cache = "\(cache)"
    parameters.profile = options.profile?.rawValue
    parameters.disabled = polls ? nil : ["polling"] + switches.map(\.rawValue)
    return parameters
  }

  private func line(_ load: Load, _ model: MachineConfiguration.Disk.Model) -> String {
    "program=disk wait=1 samples=1000 operation=\(load.name) block=\(load.block) depth=\(load.depth) "
      + "interrupts=\(load.interrupts) style=\(load.style) span=\(options.diskSpan) "
      + "duration-ms=\(options.duration / 1_000_000) device=\(model == .ide ? "ide" : "virtio-blk")"
  }

  func guest(
    _ load: Load, _ model: MachineConfiguration.Disk.Model, disabled: Set<AccelerationSwitch> = [], words: String = ""
  ) throws -> MachineSession {
    var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
    configuration.commandLine = line(load, model) + words
    configuration.disks = [.init(storage: storage, model: model, serial: "COMPARE")]
    configuration.disabled = disabled
    return try MachineSession(configuration, system: system, loop: loop)
  }

  func host(_ load: Load) -> Point.Side {
    Point.Side(mode: .host, device: .none, vmm: "none") { [self] in try hostWork(load) }
  }

  func hostWork(_ load: Load) throws -> any Sampled {
    try HostDisk(
      storage: storage, loop: loop, operation: load.operation, block: load.block, depth: load.depth,
      span: options.diskSpan, duration: options.duration)
  }
}
