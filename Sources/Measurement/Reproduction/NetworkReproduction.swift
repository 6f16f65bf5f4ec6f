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
    parameters.processes = options.executable == nil ? nil : 2
    return Point(
      experiment: .netInterVM, parameters: parameters, unit: unit(frame),
      sides: [hostTaps(frame)]
        + sides { [self] model in
          let load = Load(
            experiment: .netInterVM, operation: "send", frame: frame, model: model, interrupts: options.interrupts)
          return try options.executable.map { try processPair($0, load) } ?? ownPair(load)
        },
      title: "network between two VMs, \(frame) bytes, over taps")
  }

  // MARK: Several VMs (Figs. 9 and 10)

  /// Each VM streams to or from an endpoint of its own: over one switch, or as a process of its own over taps.
  ///
  /// - Parameter processes: the numbers of VMs over taps; none where taps are not allowed.
  func remoteScalePoints(_ counts: [Int], processes: [Int]) -> [Point] {
    Self.directions.flatMap { direction in
      counts.map { count in
        scalePoint(count, direction, over: "the switch") { [self] in try manyVMs(count, direction, $0) }
      }
        + processes.compactMap { count in
          options.executable.map { executable in
            scalePoint(count, direction, over: "taps") { [self] in
              try manyProcesses(executable, count, direction, $0)
            }
          }
        }
    }
  }

  private func scalePoint(
    _ count: Int, _ direction: String, over place: String,
    _ make: @escaping (MachineConfiguration.NIC.Model) throws -> any Sampled
  ) -> Point {
    var parameters = parameters(frame: Self.messageFrame, vms: count)
    parameters.direction = direction
    if place == "taps" {
      parameters.backend = "tap"
      parameters.processes = count
    }
    return Point(
      experiment: .netScale, parameters: parameters, unit: unit(Self.messageFrame), sides: sides(make),
      title: "network \(direction), \(count) VMs over \(place)")
  }

  /// The MAC address of the endpoint of VM `number`, as the guest's program takes it, with the first byte lowest. The last
  /// byte but one is the number.
  static func endpoint(_ number: Int) -> UInt64 { StreamEndpoint.address | UInt64(number) << 32 }
  static func address(_ number: Int) -> [UInt8] { [0x02, 0, 0, 0, UInt8(truncatingIfNeeded: number), 0x10] }

  private func manyVMs(
    _ count: Int, _ direction: String, _ model: MachineConfiguration.NIC.Model
  ) throws -> any Sampled {
    let network = NetworkSwitch(loop: loop)
    let group = GroupSession(keeping: [network])
    do {
      for number in 0..<count {
        let ports = [network.makePort(name: "vm \(number)"), network.makePort(name: "endpoint \(number)")]
        let address = Self.endpoint(number)
        let endpoint = StreamEndpoint(backend: ports[1], loop: loop, address: address)
        group.onClose { endpoint.close() }
        group.append(
          try MachineSession(
            configuration(
              line(direction, frame: Self.messageFrame, model: model, peer: address), model: model, backend: ports[0],
              address: Self.address(number)),
            system: system, loop: loop, network: ports.map(\.counters), endpoint: endpoint))
      }
      return group
    } catch {
      group.close()
      throw error
    }
  }
}
