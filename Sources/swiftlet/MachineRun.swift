import EventLoop
import Failures
import Foundation
import KVM
import Machine
import Sandbox

/// One `swiftlet run`, from its options to its exit status. It closes its resources on every path.
struct MachineRun {
  private let options: RunCommand
  private let system: System
  private let loop: EventLoop
  /// The descriptors that the caller of the program left open.
  private let inherited = Sandbox.openDescriptors

  init(_ options: RunCommand) throws {
    self.options = options
    system = try System()
    loop = try EventLoop()
  }

  func run() throws -> Int32 {
    // Parse all options before opening anything.
    var configuration = try options.configuration()
    loop.pollLimit = try options.pollLimit()
    let format = try StatisticsFormat(options.stats)
    let console = try options.console()
    let disks = try options.disk.map { try DiskSettings($0) }
    let nics = try NICSettings.all(options.net)
    let user = try options.identity()
    defer { loop.stop() }
    let resources = RunResources(loop: loop)
    defer { resources.close() }
    for (number, disk) in disks.enumerated() {
      configuration.disks.append(try resources.openDisk(disk, number: number))
    }
    try resources.openConsole(console)
    if let output = resources.console { configuration.serial = output }
    if let path = format?.path { try resources.openStatistics(path) }
    for (number, nic) in nics.enumerated() {
      configuration.nics.append(try resources.openNIC(nic, number: number))
    }
    let machine = try Machine(configuration, system: system, loop: loop)
    let sandbox = try confine(user, deviceCount: disks.count + nics.count)
    resources.hasStarted = true
    let outcome = try runToItsEnd(machine, configuration, console, resources, sandbox.map { ThreadConfinement($0) })
    report(outcome, machine)
    let failures = resources.failures
    for failure in failures { StandardError.print("swiftlet: \(failure)") }
    try format?.write(
      MachineStatistics(
        machine, outcome: outcome, loop: loop, network: resources.networkCounters, taps: resources.taps,
        sandbox: sandbox?.enforced ?? []),
      to: resources.statistics)
    // A run that lost some of its output does not succeed.
    return outcome.status == 0 && !failures.isEmpty ? 1 : outcome.status
  }

  /// Takes the process's privileges away. Its threads, which start later, are confined by `ThreadConfinement`.
  private func confine(_ user: UserIdentity?, deviceCount: Int) throws -> Sandbox? {
    guard options.sandbox == .on else {
      StandardError.print("swiftlet: --sandbox off: a guest that takes this process over has all of its rights")
      return nil
    }
    guard Sandbox.isPossible else { return nil }
    // Error messages contain it, and reading it later is not possible.
    _ = Program.path
    // A device opens a descriptor for each of its interrupt vectors when the guest first uses it.
    let sandbox = try Sandbox(user: user, inherited: inherited, reserve: 64 + 32 * deviceCount)
    if !sandbox.missing.isEmpty {
      let missing = sandbox.missing.joined(separator: "; ")
      StandardError.print("swiftlet: this host cannot enforce all of the sandbox. Missing: \(missing)")
    }
    return sandbox
  }

  private func runToItsEnd(
    _ machine: Machine, _ configuration: MachineConfiguration, _ console: RunCommand.Console,
    _ resources: RunResources, _ confinement: ThreadConfinement?
  ) throws -> MachineOutcome {
    // All threads wait for `release`, so from here to there, nothing may wait for one of them.
    loop.start(preparing: confinement?.entering(.loop))
    let isInteractive = console == .standardStreams
    let interrupts = try InterruptSignals(
      end: { [weak machine] in machine?.stop() }, user: { [weak machine] in machine?.pressPowerButton() },
      preparing: confinement?.entering(.helper))
    defer { interrupts.restore() }
    defer { confinement?.open() }
    // If the reader of standard output goes away, shut the machine down in order.
    signal(SIGPIPE, SIG_IGN)
    resources.console?.onFailure { [weak machine] in if isInteractive { machine?.stop() } }
    resources.console?.start(preparing: confinement?.entering(.helper))
    let input =
      isInteractive
      ? try ConsoleInput(
        machine: machine, output: configuration.serial, preparing: confinement?.entering(.helper)) : nil
    defer { input?.close() }
    let start = loop.clock.now
    machine.start(preparing: confinement?.entering(.vCPU))
    do {
      try confinement?.release()
    } catch {
      machine.stop()
      confinement?.open()
      _ = machine.wait()
      throw error
    }
    let outcome = machine.wait()
    input?.close()
    finishOutput(resources, outcome, interrupts, limit: configuration.timeout.map { start &+ $0 })
    return outcome
  }

  /// Writes the rest of the guest's output.
  ///
  /// Like any program, the run waits for a reader that has stopped, until a signal arrives or `--timeout` expires. If
  /// one of these ended the guest, the reader gets one more second.
  private func finishOutput(
    _ resources: RunResources, _ outcome: MachineOutcome, _ interrupts: InterruptSignals, limit: UInt64?
  ) {
    let end = loop.clock.now
    resources.console?.finish {
      switch outcome {
      case .stopped, .timedOut: loop.clock.now > end + 1_000_000_000
      default: interrupts.first != 0 || limit.map { loop.clock.now > $0 } ?? false
      }
    }
  }

  private func report(_ outcome: MachineOutcome, _ machine: Machine) {
    switch outcome {
    case .crashed(let report): StandardError.print("\(report)")
    case .timedOut: StandardError.print("swiftlet: the guest ran longer than --timeout \(options.timeout ?? 0)")
    default: break
    }
    if let refusal = machine.refusals.first {
      let count = machine.refusals.count
      StandardError.print(
        "swiftlet: KVM refused \(count) of the machine's requests; the guest ran without them. The first: \(refusal)")
    }
  }
}
