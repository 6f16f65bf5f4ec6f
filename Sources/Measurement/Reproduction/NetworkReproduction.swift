import Backends
import Foundation
import Machine

/// The network experiments of the paper, over the switch in this process, and over taps on a bridge.
extension NetworkBench {
  /// 16 kB messages as in the paper: 11 segments of 1460 bytes behind headers of 54.
  static let messageFrame = 54 + 11 * 1460
  static let directions = ["send", "receive"]

  // MARK: Between a VM and the host (Fig. 7)

  /// In both directions. Over the switch, also as KVM 84 would have run them.
  ///
  /// - Parameter taps: whether taps are allowed here.
  func remotePoints(_ frames: [Int], taps: Bool) -> [Point] {
    Self.directions.flatMap { direction in
      frames.flatMap { frame in
        [switchPoint(direction, frame)] + (taps ? [tapPoint(direction, frame)] : [])
      }
    }
  }

  private func switchPoint(_ direction: String, _ frame: Int) -> Point {
    var parameters = parameters(frame: frame, vms: 1)
    parameters.direction = direction
    let profile = Profile.year2009
    var parameters2009 = parameters
    parameters2009.profile = profile.rawValue
    parameters2009.interrupts = profile.interrupts
    parameters2009.disabled = ["polling"] + profile.networkSwitches.map(\.rawValue)
    let sides2009 = Self.devices.map { mode, device, model in
      Point.Side(mode: mode, device: device, vmm: "swiftlet", parameters: parameters2009) { [self] in
        try withEndpoint(
          direction, frame: frame, model, disabled: Set(profile.networkSwitches), interrupts: profile.interrupts)
      }
    }
    return Point(
      experiment: .netRemote, parameters: parameters, unit: unit(frame),
      sides: [loopback(frame)] + sides { [self] in try withEndpoint(direction, frame: frame, $0) } + sides2009,
      title: "network \(direction), \(frame) bytes, over the switch")
  }

  private func tapPoint(_ direction: String, _ frame: Int) -> Point {
    var parameters = parameters(frame: frame, vms: 1)
    parameters.direction = direction
    parameters.backend = "tap"
    return Point(
      experiment: .netRemote, parameters: parameters, unit: unit(frame),
      sides: [hostTaps(frame)]
        + sides { [self] model in
          try own(
            Load(
              experiment: .netRemote, operation: direction, frame: frame, model: model, interrupts: options.interrupts))
        },
      title: "network \(direction), \(frame) bytes, over taps")
  }

  // MARK: Between two VMs (Table 1)

  /// - Parameter taps: whether taps are allowed here.
  func pairPoints(_ frames: [Int], taps: Bool) -> [Point] {
    frames.map { frame in
      Point(
        experiment: .netInterVM, parameters: parameters(frame: frame, vms: 2), unit: unit(frame),
        sides: [loopback(frame)] + sides { [self] in try twoVMs(frame: frame, $0) },
        title: "network between two VMs, \(frame) bytes, over the switch")
    } + (taps ? [tapPairPoint(Self.messageFrame)] : [])
  }

  private func tapPairPoint(_ frame: Int) -> Point {
    var parameters = parameters(frame: frame, vms: 2)
    parameters.backend = "tap"
    return Point(
      experiment: .netInterVM, parameters: parameters, unit: unit(frame),
      sides: [hostTaps(frame)]
        + sides { [self] model in
          try ownPair(
            Load(experiment: .netInterVM, operation: "send", frame: frame, model: model, interrupts: options.interrupts)
          )
        },
      title: "network between two VMs, \(frame) bytes, over taps")
  }

  // MARK: Several VMs (Figs. 9 and 10)

  /// Each VM streams to or from an endpoint of its own, all over one switch.
  func remoteScalePoints(_ counts: [Int]) -> [Point] {
    Self.directions.flatMap { direction in
      counts.map { count in
        var parameters = parameters(frame: Self.messageFrame, vms: count)
        parameters.direction = direction
        return Point(
          experiment: .netScale, parameters: parameters, unit: unit(Self.messageFrame),
          sides: sides { [self] in try manyVMs(count, direction, $0) },
          title: "network \(direction), \(count) VMs")
      }
    }
  }

  private func manyVMs(
    _ count: Int, _ direction: String, _ model: MachineConfiguration.NIC.Model
  ) throws -> any Sampled {
    let network = NetworkSwitch(loop: loop)
    let group = GroupSession(keeping: [network])
    do {
      for number in 0..<count {
        let ports = [network.makePort(name: "vm \(number)"), network.makePort(name: "endpoint \(number)")]
        // The last byte but one is the VM's number. In a number for the guest, the first byte is the lowest.
        let address = StreamEndpoint.address | UInt64(number) << 32
        let endpoint = StreamEndpoint(backend: ports[1], loop: loop, address: address)
        group.onClose { endpoint.close() }
        group.append(
          try MachineSession(
            configuration(
              line(direction, frame: Self.messageFrame, model: model, peer: address), model: model, backend: ports[0],
              address: [0x02, 0, 0, 0, UInt8(truncatingIfNeeded: number), 0x10]),
            system: system, loop: loop, network: ports.map(\.counters), endpoint: endpoint))
      }
      return group
    } catch {
      group.close()
      throw error
    }
  }
}
