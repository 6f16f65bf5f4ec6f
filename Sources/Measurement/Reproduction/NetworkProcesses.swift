import Glibc
import Machine

/// Rows over taps with each VM in a process of its own, as `swiftlet run` starts it. The process gets its tap as a
/// descriptor, so it needs no right to open one.
extension NetworkBench {
  /// A sender and a receiver.
  func processPair(_ executable: String, _ load: Load) throws -> any Sampled {
    let network = try TapNetwork()
    let receiver = try boot(
      executable, line("serve", load, to: 0), load.model, Self.receiverAddress, on: network, "tap1", until: "serving")
    do {
      let sender = try boot(
        executable, line("send", load, to: Self.receiver), load.model, Self.address, on: network, "tap0")
      let session = ProcessSession(sender, partner: receiver)
      return NetworkSession(session, network: network) { session.close() }
    } catch {
      receiver.close()
      throw error
    }
  }

  /// `count` VMs, each with a stream to or from an endpoint of its own.
  func manyProcesses(
    _ executable: String, _ count: Int, _ direction: String, _ model: MachineConfiguration.NIC.Model
  ) throws -> any Sampled {
    let host = try TapHost(endpoints: count)
    let group = GroupSession(sharesLoop: false)
    group.onClose { host.close() }
    let load = Load(
      experiment: .netScale, operation: direction, frame: Self.messageFrame, model: model,
      interrupts: options.interrupts)
    do {
      for number in 0..<count {
        let machine = try boot(
          executable, line(direction, load, to: Self.endpoint(number)), model, Self.address(number), on: host.network,
          "tap\(number)")
        group.append(ProcessSession(machine, endpointLoop: host.loop))
      }
      return NetworkSession(group, network: host.network) { group.close() }
    } catch {
      group.close()
      throw error
    }
  }

  private func line(_ operation: String, _ load: Load, to peer: UInt64) -> String {
    line(operation, frame: load.frame, model: load.model, peer: peer, interrupts: load.interrupts)
  }

  private func boot(
    _ executable: String, _ line: String, _ model: MachineConfiguration.NIC.Model, _ address: [UInt8],
    on network: TapNetwork, _ tap: String, until event: String = "ready"
  ) throws -> MachineProcess {
    let descriptor = try network.descriptor(tap)
    // The tap then disappears with the process.
    defer { close(descriptor) }
    return try MachineProcess(
      swiftlet: executable, commandLine: line,
      arguments: [
        "--memory", "64M", "--net", "backend=tap,fd=3,model=\(model.rawValue),mac=\(Self.text(address))",
      ], descriptors: [descriptor], until: event)
  }

  /// A MAC address as command lines have it.
  static func text(_ address: [UInt8]) -> String {
    address.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
  }
}
