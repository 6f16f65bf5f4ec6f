import Backends
import Counters
import Failures
import Machine
import Threads

/// Several VMs at a time: pairs of a sender and a receiver, all on one switch and one loop (Figs. 9 and 10 of the paper).
extension NetworkBench {
  private static let scaledFrame = 1514

  var scalePoints: [Point] {
    [2, 4, 8].map { vms in
      Point(
        experiment: .netScale, parameters: parameters(frame: Self.scaledFrame, vms: vms), unit: unit(Self.scaledFrame),
        sides: sides { [self] in try pairs(vms / 2, $0) }, title: "network between \(vms) VMs, in pairs")
    }
  }

  private func pairs(_ count: Int, _ model: MachineConfiguration.NIC.Model) throws -> any Sampled {
    let network = NetworkSwitch(loop: loop)
    let group = GroupSession(keeping: [network])
    do {
      for pair in 0..<count {
        let ports = [network.makePort(name: "sender \(pair)"), network.makePort(name: "receiver \(pair)")]
        // The last byte but one is the pair's number. In a number for the guest, the first byte is the lowest.
        let number = UInt8(pair)
        let receiver = try serve(
          frame: Self.scaledFrame, model, over: ports[1], on: loop, address: [0x02, 0, 0, 0, number, 0x11])
        group.onClose { Self.end(receiver) }
        let target = Self.receiver | UInt64(number) << 32
        group.append(
          try MachineSession(
            configuration(
              line("send", frame: Self.scaledFrame, model: model, peer: target), model: model, backend: ports[0],
              address: [0x02, 0, 0, 0, number, 0x10]),
            system: system, loop: loop, partners: [receiver], network: ports.map(\.counters)))
      }
      return group
    } catch {
      group.close()
      throw error
    }
  }
}
