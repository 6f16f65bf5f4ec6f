import EventLoop
import Failures
import Threads

/// A test guest under a VMM in a process of its own, sampled on demand: the same image and command line as a
/// `MachineSession`'s.
///
/// The VMM's own counts are not known, so a sample has no counters. QEMU's monitor tells the exits that KVM counts.
package final class ProcessSession: Sampled, Sendable {
  /// Exits of the span that belong to the measuring: asking the UART and writing ETX.
  private static let ownExits: UInt64 = 2
  private static let patience = 60.0

  private struct Snapshot {
    var kernelExits: UInt64?
    var vCPUTime: UInt64 = 0
    var ioTime: UInt64 = 0
    var endpointTime: UInt64 = 0
    var steal = 0.0
  }

  /// The machine whose program is sampled, and then another whose work is counted too.
  private let machines: [MachineProcess]
  private let endpointLoop: EventLoop?
  private let marks = Guarded<(begin: Snapshot?, end: Snapshot?)>(.leaf, (nil, nil))

  /// Boots a guest under QEMU whose program is paced by the host (`wait=1`), and waits until it is ready.
  ///
  /// - Parameters:
  ///   - kernel: the path of the test guest.
  ///   - arguments: further arguments of QEMU: memory, disks, NICs.
  package convenience init(
    _ program: QEMUProgram, kernel: String, commandLine: String, arguments: [String]
  ) throws {
    try self.init(MachineProcess(program, kernel: kernel, commandLine: commandLine, arguments: arguments))
  }

  /// - Parameters:
  ///   - partner: another machine whose work is counted too, such as the receiver between two VMs. The session closes it.
  ///   - endpointLoop: the loop of the measuring endpoint.
  init(_ machine: MachineProcess, partner: MachineProcess? = nil, endpointLoop: EventLoop? = nil) {
    machines = [machine] + [partner].compactMap { $0 }
    self.endpointLoop = endpointLoop
    machine.console.onMark { [weak self] isBegin in
      guard let self else { return }
      let snapshot = self.snapshot()
      self.marks.withLock { if isBegin { $0.begin = snapshot } else { $0.end = snapshot } }
    }
  }

  /// The commands that run, for the report.
  package var commandLine: String? { machines.map(\.commandLine).joined(separator: " & ") }

  package var processIdentifiers: [Int32] { machines.map(\.processIdentifier) }

  private func snapshot() -> Snapshot {
    let kernel = machines.map(\.kernelExits)
    return Snapshot(
      kernelExits: kernel.contains(nil) ? nil : kernel.reduce(0) { $0 + ($1 ?? 0) },
      vCPUTime: machines.reduce(0) { $0 + $1.vCPUTime }, ioTime: machines.reduce(0) { $0 + $1.ioTime },
      endpointTime: endpointLoop?.cpuTime ?? 0, steal: HostActivity.steal)
  }

  package func sample() throws -> MeasuredSample {
    marks.withLock { $0 = (nil, nil) }
    let load = HostActivity.load
    machines[0].go()
    let event = try machines[0].console.expect("sample", within: Self.patience)
    let (begin, end) = marks.withLock { $0 }
    guard let begin, let end else { throw Failure("sample the guest", cause: "it did not mark its span") }
    var sample = MeasuredSample(event: event)
    if let first = begin.kernelExits, let last = end.kernelExits {
      sample.kernelExits = (last &- first) &- min(Self.ownExits, last &- first)
    }
    sample.vCPUSeconds = Double(end.vCPUTime &- begin.vCPUTime) / 1e9
    sample.ioSeconds = Double(end.ioTime &- begin.ioTime) / 1e9
    sample.endpointSeconds = Double(end.endpointTime &- begin.endpointTime) / 1e9
    sample.stealSeconds = end.steal - begin.steal
    sample.load = load
    return sample
  }

  package var interrupters: [@Sendable () -> Void] { machines.map(\.console).map { console in { console.close() } } }

  package func close() { for machine in machines { machine.close() } }
}
