import Backends
import EventLoop
import Failures
import Glibc
import Machine

/// Network rows beside QEMU: each NIC under swiftlet and under QEMU, over taps on a bridge.
///
/// The measuring endpoint is on a second tap, with a loop of its own. QEMU gets its tap as a descriptor.
extension NetworkBench {
  /// What a VMM does in one row.
  struct Load {
    var experiment: Record.Experiment
    var operation: String
    var frame: Int
    var model: MachineConfiguration.NIC.Model
    var interrupts: String

    /// Beside QEMU, the e1000's guest polls, because QEMU raises INTx by KVM_IRQ_LINE. On this software KVM that wakes a
    /// halted vCPU only after 70 ms.
    ///
    /// - Parameter interrupts: how the guest learns that its NIC is done; by default as it must be beside QEMU.
    init(
      experiment: Record.Experiment, operation: String, frame: Int, model: MachineConfiguration.NIC.Model,
      interrupts: String? = nil
    ) {
      self.experiment = experiment
      self.operation = operation
      self.frame = frame
      self.model = model
      self.interrupts = interrupts ?? (model == .e1000 ? "poll" : "irq")
    }
  }

  func points(beside peer: Peer) -> [Point] {
    var loads: [Load] = []
    for model in [MachineConfiguration.NIC.Model.virtio, .e1000] {
      for frame in Self.frames {
        loads.append(Load(experiment: .netSend, operation: "send", frame: frame, model: model))
      }
      // An e1000 receives a large frame as the 1514 bytes of the row before.
      for frame in Self.frames where model == .virtio || frame <= 1514 {
        loads.append(Load(experiment: .netReceive, operation: "receive", frame: frame, model: model))
      }
    }
    // Two e1000s that poll would take both processors from their VMMs.
    for frame in Self.frames {
      loads.append(Load(experiment: .netInterVM, operation: "send", frame: frame, model: .virtio))
    }
    loads.append(Load(experiment: .netLatency, operation: "echo", frame: 60, model: .virtio))
    return loads.map { point($0, peer) }
  }

  private func point(_ load: Load, _ peer: Peer) -> Point {
    let isPair = load.experiment == .netInterVM
    var parameters = parameters(frame: load.frame, vms: isPair ? 2 : 1)
    parameters.backend = "tap"
    parameters.interrupts = load.interrupts
    parameters.disabled = nil
    if load.experiment == .netLatency { parameters.framesPerDoorbell = 1 }
    let (mode, device): (Record.Mode, Record.Device) =
      load.model == .e1000 ? (.fullVirtualization, .e1000) : (.paravirtualization, .virtioNet)
    var sides = [
      Point.Side(mode: mode, device: device, vmm: "swiftlet") { [self] in
        try isPair ? ownPair(load) : own(load)
      },
      Point.Side(mode: mode, device: device, vmm: "qemu") { [self] in
        try isPair ? pair(load, peer) : single(load, peer)
      },
    ]
    if load.experiment != .netLatency { sides.insert(hostTaps(load.frame), at: 0) }
    return Point(
      experiment: load.experiment, parameters: parameters,
      unit: load.experiment == .netLatency ? "operations/s" : unit(load.frame), sides: sides,
      title: "\(device.rawValue) \(load.experiment.rawValue), \(load.frame) bytes, beside QEMU", polls: true)
  }

  private func line(_ load: Load, to peer: UInt64) -> String {
    line(load.operation, frame: load.frame, model: load.model, peer: peer, interrupts: load.interrupts)
  }

  // MARK: swiftlet

  func own(_ load: Load) throws -> any Sampled {
    let host = try TapHost()
    do {
      let tap = try host.network.backend("tap0", loop: loop)
      let session = try MachineSession(
        configuration(
          line(load, to: StreamEndpoint.address), model: load.model, backend: tap, address: Self.address),
        system: system, loop: loop, network: [tap.counters] + host.taps.map(\.counters), endpoint: host.endpoints[0],
        endpointLoop: host.loop)
      return NetworkSession(session, network: host.network) {
        session.close()
        host.close()
      }
    } catch {
      host.close()
      throw error
    }
  }

  /// Two VMs, each with an I/O thread of its own, as if in two processes.
  func ownPair(_ load: Load) throws -> any Sampled {
    let network = try TapNetwork()
    let otherLoop = try EventLoop(name: "receiver")
    otherLoop.pollLimit = loop.pollLimit
    otherLoop.start()
    do {
      let taps = [try network.backend("tap0", loop: loop), try network.backend("tap1", loop: otherLoop)]
      let receiver = try serve(frame: load.frame, load.model, over: taps[1], on: otherLoop)
      do {
        let session = try MachineSession(
          configuration(line(load, to: Self.receiver), model: load.model, backend: taps[0], address: Self.address),
          system: system, loop: loop, partners: [receiver], network: taps.map(\.counters))
        return NetworkSession(session, network: network) {
          session.close()
          Self.end(receiver)
          otherLoop.stop()
        }
      } catch {
        Self.end(receiver)
        throw error
      }
    } catch {
      otherLoop.stop()
      throw error
    }
  }

  // MARK: QEMU

  private func single(_ load: Load, _ peer: Peer) throws -> any Sampled {
    let host = try TapHost()
    do {
      let machine = try boot(
        peer, line(load, to: StreamEndpoint.address), load.model, Self.address, on: host.network, "tap0")
      let session = ProcessSession(machine, endpointLoop: host.loop)
      return NetworkSession(session, network: host.network) {
        session.close()
        host.close()
      }
    } catch {
      host.close()
      throw error
    }
  }

  private func pair(_ load: Load, _ peer: Peer) throws -> any Sampled {
    let network = try TapNetwork()
    let receiver = try boot(
      peer, line("serve", frame: load.frame, model: load.model, peer: 0), load.model, Self.receiverAddress,
      on: network, "tap1", until: "serving")
    do {
      let sender = try boot(peer, line(load, to: Self.receiver), load.model, Self.address, on: network, "tap0")
      let session = ProcessSession(sender, partner: receiver)
      return NetworkSession(session, network: network) { session.close() }
    } catch {
      receiver.close()
      throw error
    }
  }

  /// Boots the test guest under QEMU, with a NIC on a new tap. The guest's memory and rings are those under swiftlet,
  /// except that QEMU's transmit queue of a tap has at most 256 entries.
  private func boot(
    _ peer: Peer, _ line: String, _ model: MachineConfiguration.NIC.Model, _ address: [UInt8],
    on network: TapNetwork, _ tap: String, until event: String = "ready"
  ) throws -> MachineProcess {
    let descriptor = try network.descriptor(tap)
    // The tap then disappears with QEMU.
    defer { close(descriptor) }
    let device =
      model == .e1000 ? "e1000" : "virtio-net-pci,disable-legacy=on,rx_queue_size=1024,tx_queue_size=256"
    return try MachineProcess(
      peer.program, kernel: peer.kernel.path, commandLine: line,
      arguments: [
        "-m", "64", "-netdev", "tap,id=n0,fd=5", "-device", "\(device),netdev=n0,mac=\(Self.text(address)),romfile=",
      ], descriptors: [descriptor], until: event)
  }
}
