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
    let group = PairsSession(keeping: network)
    do {
      for pair in 0..<count {
        let ports = [network.makePort(name: "sender \(pair)"), network.makePort(name: "receiver \(pair)")]
        // The last byte but one is the pair's number. In a number for the guest, the first byte is the lowest.
        let number = UInt8(pair)
        let receiver = try serve(
          frame: Self.scaledFrame, model, over: ports[1], on: loop, address: [0x02, 0, 0, 0, number, 0x11])
        group.receivers.append(receiver)
        let target = Self.receiver | UInt64(number) << 32
        group.senders.append(
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

/// Pairs of VMs that are sampled at the same time.
private final class PairsSession: Sampled {
  var senders: [MachineSession] = []
  var receivers: [Machine] = []
  private let network: NetworkSwitch

  init(keeping network: NetworkSwitch) { self.network = network }

  func sample() throws -> MeasuredSample {
    let results = Guarded<[Result<MeasuredSample, any Error>]>(.leaf, [])
    let threads = senders.map { sender in
      BackgroundThread {
        let result = Result { try sender.sample() }
        results.withLock { $0.append(result) }
      }
    }
    for thread in threads { thread.start() }
    for thread in threads { thread.join() }
    return MeasuredSample(together: try results.withLock { $0 }.map { try $0.get() })
  }

  func close() {
    for sender in senders { sender.close() }
    for receiver in receivers { NetworkBench.end(receiver) }
  }
}

extension MeasuredSample {
  /// The sum of samples that were taken at the same time, with one loop.
  init(together samples: [MeasuredSample]) {
    self.init()
    operations = samples.reduce(0) { $0 + $1.operations }
    bytes = samples.reduce(0) { $0 + $1.bytes }
    nanoseconds = samples.map(\.nanoseconds).max() ?? 0
    rates = samples.map { $0.nanoseconds > 0 ? Double($0.bytes) / (Double($0.nanoseconds) / 1e9) : 0 }
    let known = samples.compactMap(\.counters)
    counters = known.count == samples.count ? CounterSnapshot(adding: known) : nil
    let exits = samples.compactMap(\.kernelExits)
    kernelExits = exits.count == samples.count ? exits.reduce(0, +) : nil
    vCPUSeconds = samples.reduce(0) { $0 + $1.vCPUSeconds }
    // Every sample has the time of the same loop and of the same host.
    ioSeconds = samples.map(\.ioSeconds).max() ?? 0
    stealSeconds = samples.map(\.stealSeconds).max() ?? 0
    load = samples.first?.load ?? 0
    drops = samples.reduce(into: [:]) { $0.merge($1.drops, uniquingKeysWith: +) }
  }
}
