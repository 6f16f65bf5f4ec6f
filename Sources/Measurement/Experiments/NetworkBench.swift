import Backends
import Boot
import Counters
import EventLoop
import Failures
import Foundation
import GuestImages
import KVM
import Machine

/// The network experiments (Table 1 and Fig. 7 of the paper): e1000 and virtio-net on the switch, with the measuring
/// endpoint or with another VM.
final class NetworkBench {
  static let frames = [60, 1514, 64_294]
  private static let batch = 32
  static let devices: [(Record.Mode, Record.Device, MachineConfiguration.NIC.Model)] = [
    (.fullVirtualization, .e1000, .e1000), (.paravirtualization, .virtioNet, .virtio),
  ]
  /// The address of the guest that is sampled.
  static let address: [UInt8] = [0x02, 0, 0, 0, 0, 0x10]
  static let receiverAddress: [UInt8] = [0x02, 0, 0, 0, 0, 0x11]
  /// The same as the guest's program takes it.
  static let receiver: UInt64 = 0x1100_0000_0002

  let options: ComparisonOptions
  let system: System
  let loop: EventLoop

  init(_ options: ComparisonOptions, system: System, loop: EventLoop) {
    self.options = options
    self.system = system
    self.loop = loop
  }

  var points: [Point] {
    var points: [Point] = []
    for (experiment, operation) in [(Record.Experiment.netSend, "send"), (.netReceive, "receive")] {
      for frame in Self.frames { points.append(streamPoint(experiment, operation, frame)) }
    }
    // Two guests that poll and the loop need three processors.
    if options.interrupts == "irq" || ProcessInfo.processInfo.activeProcessorCount > 2 {
      for frame in Self.frames { points.append(interVMPoint(frame)) }
      points += scalePoints
    }
    points.append(latencyPoint())
    for frame in Self.frames { points.append(loopbackPoint(frame)) }
    points.append(copyPoint())
    return points
  }

  /// Each acceleration off alone.
  var ablations: [Point] {
    var points: [Point] = []
    for (mode, device, model) in Self.devices {
      for (experiment, operation) in [(Record.Experiment.netSend, "send"), (.netReceive, "receive")] {
        points.append(
          .ablation(
            experiment, parameters(frame: 1514, vms: 1), unit: unit(1514), mode: mode, device: device,
            title: "\(operation), 1514 bytes"
          ) { [self] in try withEndpoint(operation, frame: 1514, model, disabled: $0) })
      }
      points.append(
        .ablation(
          .netInterVM, parameters(frame: 1514, vms: 2), unit: unit(1514), mode: mode, device: device,
          title: "between two VMs, 1514 bytes"
        ) { [self] in try twoVMs(frame: 1514, model, disabled: $0) })
    }
    return points
  }

  /// Sends with one exit more for each frame, on which the model of the gap is checked.
  var exitModels: [Point] {
    Self.devices.map { mode, device, model in
      Point.exitModel(
        parameters(frame: 1514, vms: 1), unit: unit(1514), mode: mode, device: device, adding: 1,
        title: "send, 1514 bytes"
      ) { [self] in try withEndpoint("send", frame: 1514, model, words: $0) }
    }
  }

  /// The accelerations that the profile turns off.
  private var switches: [AccelerationSwitch] { options.profile?.networkSwitches ?? [] }

  func parameters(frame: Int, vms: Int, polls: Bool = false) -> Record.Parameters {
    var parameters = Record.Parameters()
    parameters.frameBytes = frame
    parameters.framesPerDoorbell = Self.batch
    parameters.interrupts = options.interrupts
    parameters.driverStyle = "lean"
    parameters.vCPUs = 1
    parameters.vms = vms
    parameters.backend = "switch"
    parameters.profile = options.profile?.rawValue
    let disabled = (polls ? [] : ["polling"]) + switches.map(\.rawValue)
    parameters.disabled = disabled.isEmpty ? nil : disabled
    return parameters
  }

  /// The command line of a guest that streams to the MAC address `peer`.
  func line(
    _ operation: String, frame: Int, model: MachineConfiguration.NIC.Model, peer: UInt64, interrupts: String? = nil
  ) -> String {
    let device = model == .e1000 ? "e1000" : "virtio-net"
    return "program=net wait=1 samples=1000 device=\(device) operation=\(operation) frame=\(frame) batch=\(Self.batch) "
      + "interrupts=\(interrupts ?? options.interrupts) style=lean peer=\(peer) duration-ms=\(options.duration / 1_000_000)"
  }

  func configuration(
    _ line: String, model: MachineConfiguration.NIC.Model, backend: any NetworkBackend, address: [UInt8],
    disabled: Set<AccelerationSwitch> = []
  ) -> MachineConfiguration {
    var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
    configuration.commandLine = line
    configuration.memorySize = 64 << 20
    configuration.nics = [.init(backend: backend, model: model, macAddress: address)]
    configuration.disabled = disabled.union(switches)
    return configuration
  }

  /// Creates a VM and an endpoint on a new switch.
  func withEndpoint(
    _ operation: String, frame: Int, _ model: MachineConfiguration.NIC.Model,
    disabled: Set<AccelerationSwitch> = [], interrupts: String? = nil, words: String = ""
  ) throws -> any Sampled {
    let network = NetworkSwitch(loop: loop)
    let port = network.makePort(name: "vm")
    let endpointPort = network.makePort(name: "endpoint")
    let endpoint = StreamEndpoint(backend: endpointPort, loop: loop)
    let session = try MachineSession(
      configuration(
        line(operation, frame: frame, model: model, peer: StreamEndpoint.address, interrupts: interrupts) + words,
        model: model, backend: port, address: Self.address, disabled: disabled),
      system: system, loop: loop, network: [port.counters, endpointPort.counters], endpoint: endpoint)
    return NetworkSession(session, keeping: [network]) {
      session.close()
      endpoint.close()
    }
  }

  func sides(
    _ make: @escaping (MachineConfiguration.NIC.Model) throws -> any Sampled
  ) -> [Point.Side] {
    [
      Point.Side(mode: .fullVirtualization, device: .e1000, vmm: "swiftlet") { try make(.e1000) },
      Point.Side(mode: .paravirtualization, device: .virtioNet, vmm: "swiftlet") { try make(.virtio) },
    ]
  }

  private func streamPoint(_ experiment: Record.Experiment, _ operation: String, _ frame: Int) -> Point {
    Point(
      experiment: experiment, parameters: parameters(frame: frame, vms: 1, polls: options.profile == nil),
      unit: unit(frame),
      sides: sides { [self] in try withEndpoint(operation, frame: frame, $0) },
      title: "network \(operation), \(frame) bytes", polls: options.profile == nil)
  }

  private func latencyPoint() -> Point {
    var point = parameters(frame: 60, vms: 1, polls: options.profile == nil)
    point.framesPerDoorbell = 1
    return Point(
      experiment: .netLatency, parameters: point, unit: "operations/s",
      sides: sides { [self] in try withEndpoint("echo", frame: 60, $0) }, title: "network echo",
      polls: options.profile == nil)
  }

  private func loopbackPoint(_ frame: Int) -> Point {
    var point = Record.Parameters()
    point.frameBytes = frame
    point.backend = "socketpair"
    return Point(
      experiment: .loopback, parameters: point, unit: unit(frame), sides: [loopback(frame)],
      title: "host socketpair, \(frame) bytes")
  }

  /// The host's own stream of frames, over a socketpair.
  func loopback(_ frame: Int) -> Point.Side {
    let duration = options.duration
    return Point.Side(mode: .host, device: .none, vmm: "none") { HostLoopback(frameBytes: frame, duration: duration) }
  }

  /// The host's own stream of frames, between two taps.
  func hostTaps(_ frame: Int) -> Point.Side {
    let duration = options.duration
    return Point.Side(mode: .host, device: .none, vmm: "none") { try HostTaps(frameBytes: frame, duration: duration) }
  }

  private func copyPoint() -> Point {
    var point = Record.Parameters()
    point.frameBytes = Self.frames.last
    let (frame, duration) = (Self.frames.last ?? 0, options.duration)
    return Point(
      experiment: .memcpy, parameters: point, unit: unit(frame),
      sides: [Point.Side(mode: .host, device: .none, vmm: "none") { HostCopy(frameBytes: frame, duration: duration) }],
      title: "memcpy, \(frame) bytes")
  }

  func unit(_ frame: Int) -> String { frame < 100 ? "frames/s" : "bytes/s" }

  private func interVMPoint(_ frame: Int) -> Point {
    Point(
      experiment: .netInterVM, parameters: parameters(frame: frame, vms: 2), unit: unit(frame),
      sides: sides { [self] in try twoVMs(frame: frame, $0) }, title: "network between two VMs, \(frame) bytes")
  }

  func twoVMs(
    frame: Int, _ model: MachineConfiguration.NIC.Model, disabled: Set<AccelerationSwitch> = []
  ) throws -> any Sampled {
    let network = NetworkSwitch(loop: loop)
    let ports = [network.makePort(name: "sender"), network.makePort(name: "receiver")]
    // Start the receiver first. It answers any sender.
    let receiver = try serve(frame: frame, model, over: ports[1], on: loop, disabled: disabled)
    do {
      let session = try MachineSession(
        configuration(
          line("send", frame: frame, model: model, peer: Self.receiver), model: model, backend: ports[0],
          address: Self.address, disabled: disabled),
        system: system, loop: loop, partners: [receiver], network: ports.map(\.counters))
      return NetworkSession(session, keeping: [network]) {
        session.close()
        Self.end(receiver)
      }
    } catch {
      Self.end(receiver)
      throw error
    }
  }

  /// Boots a guest that answers the requests of another, and waits until it serves.
  func serve(
    frame: Int, _ model: MachineConfiguration.NIC.Model, over backend: any NetworkBackend, on loop: EventLoop,
    address: [UInt8] = receiverAddress, disabled: Set<AccelerationSwitch> = []
  ) throws -> Machine {
    var receiving = configuration(
      line("serve", frame: frame, model: model, peer: 0), model: model, backend: backend,
      address: address, disabled: disabled)
    let console = GuestConsole()
    receiving.serial = console
    receiving.populatesMemory = true
    let receiver = try Machine(receiving, system: system, loop: loop)
    receiver.start()
    do {
      _ = try console.expect("serving", within: 60)
      return receiver
    } catch {
      Self.end(receiver)
      throw error
    }
  }

  static func end(_ machine: Machine) {
    machine.stop()
    _ = machine.wait()
  }
}

/// A session with what it needs beside its machine: a network, an endpoint, a second VM.
final class NetworkSession: Sampled {
  private let session: any Sampled
  private let kept: [AnyObject]
  private let network: TapNetwork?
  private let end: () -> Void

  /// - Parameters:
  ///   - kept: objects that stay alive as long as the session.
  ///   - network: the taps, whose drops are part of a sample.
  ///   - end: what `close` does.
  init(
    _ session: any Sampled, keeping kept: [AnyObject] = [], network: TapNetwork? = nil, end: @escaping () -> Void
  ) {
    self.session = session
    self.kept = kept
    self.network = network
    self.end = end
  }

  var commandLine: String? { session.commandLine }
  var interrupters: [@Sendable () -> Void] { session.interrupters }

  func sample() throws -> MeasuredSample {
    let drops = network?.drops ?? [:]
    var sample = try session.sample()
    sample.add(drops: network?.drops ?? [:], since: drops)
    return sample
  }

  func close() { end() }
}
