import Backends
import Counters
import EventLoop
import Failures
import GuestImages
import KVM
import Machine
import Threads

/// A test guest on swiftlet, sampled on demand.
package final class MachineSession: Sampled, Sendable {
  /// Exits of a span that the measurement itself causes: reading the UART's status and writing ETX.
  private static let ownExits: UInt64 = 2
  /// Time limit in seconds for an event of the guest.
  private static let patience = 60.0

  private struct Snapshot {
    var counters = CounterSnapshot()
    var kernelExits: UInt64?
    var vCPUTime: UInt64 = 0
    var ioTime: UInt64 = 0
    var endpointTime: UInt64 = 0
    var steal = 0.0
    var drops: [String: UInt64] = [:]
  }

  package let machine: Machine
  package let console: GuestConsole
  private let marks = Guarded<(begin: Snapshot?, end: Snapshot?)>(.leaf, (nil, nil))
  /// Other machines whose work is counted too, such as the receiver between two VMs.
  private let partners: [Machine]
  /// The loops of the machines: one, or one for each.
  private let loops: [EventLoop]
  private let network: [Counters]
  private let endpoint: StreamEndpoint?
  /// The endpoint's loop; nil if the endpoint shares the machine's.
  private let endpointLoop: EventLoop?
  /// The thread that waits for the machine's end; nil once it is joined.
  private let waiter = Guarded<BackgroundThread?>(.leaf, nil)
  private let outcome = Guarded<MachineOutcome?>(.leaf, nil)

  /// Boots a guest whose program waits for the host before each sample (`wait=1`), and waits until it is ready.
  package init(
    _ configuration: MachineConfiguration, system: System, loop: EventLoop, partners: [Machine] = [],
    network: [Counters] = [], endpoint: StreamEndpoint? = nil, endpointLoop: EventLoop? = nil
  ) throws {
    let console = GuestConsole()
    var configuration = configuration
    configuration.serial = console
    configuration.populatesMemory = true
    configuration.watchdog = 120_000_000_000
    machine = try Machine(configuration, system: system, loop: loop)
    self.console = console
    self.partners = partners
    loops = [loop] + partners.map(\.loop).filter { $0 !== loop }
    self.network = network
    self.endpoint = endpoint
    self.endpointLoop = endpointLoop
    console.onMark { [weak self] isBegin in
      guard let self else { return }
      let snapshot = self.snapshot()
      self.marks.withLock { if isBegin { $0.begin = snapshot } else { $0.end = snapshot } }
    }
    machine.start()
    let machine = machine
    let thread = BackgroundThread { [weak self] in
      let outcome = machine.wait()
      self?.outcome.withLock { $0 = outcome }
      console.close()
    }
    thread.start()
    waiter.withLock { $0 = thread }
    do {
      _ = try console.expect("ready", within: Self.patience)
    } catch {
      close()
      throw explained(error)
    }
  }

  private func snapshot() -> Snapshot {
    var snapshot = Snapshot()
    var counters = [machine.counters] + partners.map(\.counters)
    counters.append(CounterSnapshot(summing: network + loops.map(\.counters)))
    snapshot.counters = CounterSnapshot(adding: counters)
    let kernel = ([machine] + partners).map(\.kernelExits)
    snapshot.kernelExits = kernel.contains(nil) ? nil : kernel.reduce(0) { $0 + ($1 ?? 0) }
    snapshot.vCPUTime = ([machine] + partners).reduce(0) { $0 + $1.vCPUTime }
    snapshot.ioTime = loops.reduce(0) { $0 + $1.cpuTime }
    snapshot.endpointTime = endpointLoop?.cpuTime ?? endpoint?.busyTime ?? 0
    snapshot.steal = HostActivity.steal
    return snapshot
  }

  package func sample() throws -> MeasuredSample {
    marks.withLock { $0 = (nil, nil) }
    let load = HostActivity.load
    machine.serial.receive([0x67])
    do {
      let event = try console.expect("sample", within: Self.patience)
      // Without one of its accelerations, this is not the machine that the report describes.
      if let refusal = ([machine] + partners).lazy.compactMap(\.refusals.first).first {
        throw Failure("measure a guest", cause: "KVM refused a part of it: \(refusal)", fix: "Run: swiftlet doctor")
      }
      let (begin, end) = marks.withLock { $0 }
      guard let begin, let end else { throw Failure("sample the guest", cause: "it did not mark its span") }
      var sample = MeasuredSample(event: event)
      var counters = end.counters.since(begin.counters)
      counters.subtract(.exitsPortIO, Self.ownExits)
      sample.counters = counters
      if let last = end.kernelExits, let first = begin.kernelExits {
        sample.kernelExits = (last &- first) &- min(Self.ownExits, last &- first)
      }
      sample.vCPUSeconds = Double(end.vCPUTime &- begin.vCPUTime) / 1e9
      let endpointTime = end.endpointTime &- begin.endpointTime
      let ioTime = end.ioTime &- begin.ioTime
      let sharedTime = endpointLoop == nil ? endpointTime : 0
      sample.ioSeconds = Double(ioTime > sharedTime ? ioTime - sharedTime : 0) / 1e9
      sample.endpointSeconds = Double(endpointTime) / 1e9
      sample.stealSeconds = end.steal - begin.steal
      sample.load = load
      for counter in Counter.allCases where counter.name.hasPrefix("drops") && counters[counter] > 0 {
        sample.drops[counter.name] = counters[counter]
      }
      return sample
    } catch {
      throw explained(error)
    }
  }

  /// Adds the crash report, if any, to an error.
  private func explained(_ error: any Error) -> any Error {
    guard case .crashed(let report)? = outcome.withLock({ $0 }) else { return error }
    return Failure("run \(machine.configuration.commandLine)", cause: "\(error)\n\(report)")
  }

  package var interrupters: [@Sendable () -> Void] { [{ [machine] in machine.stop() }] }

  package func close() {
    machine.stop()
    let thread = waiter.withLock { waiter in
      defer { waiter = nil }
      return waiter
    }
    thread?.join()
  }
}
