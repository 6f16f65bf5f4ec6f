import Backends
import Boot
import Bus
import Counters
import Devices
import EventLoop
import Failures
import Glibc
import GuestMemory
import KVM
import Synchronization
import Threads

/// A virtual machine built from a configuration.
///
/// Its devices' data planes run on `loop`, which may serve several machines. After `tearDown`, which `wait` calls,
/// nothing accesses the guest's memory any more.
// Unchecked: `init` sets the variables; later, `isPaused` guards `devices`, and one thread starts and ends the machine.
package final class Machine: @unchecked Sendable {
  package let configuration: MachineConfiguration
  package let memory: GuestMemory
  package let loop: EventLoop
  package let bus = Bus()
  package let bridge = PCIHostBridge()
  package let serial: Serial16550
  let virtualMachine: VirtualMachine
  let wiring: InterruptWiring
  /// Whether KVM reports the guest's EOIs for PIRQs.
  let resamplesInterrupts: Bool
  /// The counters of the devices.
  private(set) var deviceCounters: [Counters] = []
  private let binding: KVMBinding
  /// KVM's refusals so far.
  package let refusals = KVMRefusals()
  private var runners: [VCPURunner] = []
  /// Set by `attachPlatform`.
  var fixedHardware: ACPIFixedHardware?
  private var devices: [any Device] = []
  private var watchdogTimer: LoopTimer?
  private var timeoutTimer: LoopTimer?
  private let activity: ActivityNotingSerial
  private let outcome = Guarded<MachineOutcome?>(.leaf, nil)
  private let finished = Latch()
  private let isTornDown = Guarded(.leaf, false)
  /// Held while the machine pauses or resumes.
  private let isPaused = Guarded(.machinePause, false)

  /// Creates the machine on `system`, loads its kernel and attaches its devices.
  package init(_ configuration: MachineConfiguration, system: System, loop: EventLoop) throws(Failure) {
    self.configuration = configuration
    self.loop = loop
    try Self.check(configuration, system: system)
    memory = try GuestMemory(size: configuration.memorySize)
    if configuration.populatesMemory { memory.populate() }
    let entry = try KernelImage(configuration.kernel).load(
      commandLine: configuration.commandLine,
      initialRAMDisk: configuration.initialRAMDisk, processors: configuration.vCPUs, into: memory)

    virtualMachine = try VirtualMachine(system: system, memory: memory)
    let usesIrqfd = !configuration.disabled.contains(.irqfd)
    resamplesInterrupts = usesIrqfd && system.check(.irqfdResample) > 0
    wiring = try InterruptWiring(
      machine: virtualMachine, refusals: refusals, bus: bus, loop: loop, usesIrqfd: usesIrqfd)
    let vCPUs = try Self.makeVCPUs(configuration.vCPUs, of: virtualMachine)
    try entry.apply(to: vCPUs[0])
    let trace = configuration.trace.map { AccessTrace(devices: $0.devices, output: $0.output) }
    binding = KVMBinding(
      machine: virtualMachine, refusals: refusals, bus: bus, ring: vCPUs[0].coalescedRing(system: system),
      disabled: configuration.disabled, trace: trace)
    activity = ActivityNotingSerial(configuration.serial, clock: loop.clock)
    serial = Serial16550(line: wiring.makeLine(4), backend: activity)

    attachBoard()
    attachPlatform()
    runners = makeRunners(vCPUs, trace: trace)
    do {
      try plugDevices()
      try checkTrace()
      if let limit = configuration.watchdog {
        watchdogTimer = loop.makeTimer { [weak self] in self?.checkWatchdog(limit) }
      }
    } catch {
      tearDown()
      throw error
    }
  }

  private static func makeVCPUs(_ count: Int, of machine: VirtualMachine) throws(Failure) -> [VirtualCPU] {
    var vCPUs: [VirtualCPU] = []
    for index in 0..<count { vCPUs.append(try VirtualCPU(machine: machine, index: index, of: count)) }
    return vCPUs
  }

  /// Attaches the serial port, PCI bus 0 with its bridges, the bus's binding to KVM, and the debug-exit port.
  private func attachBoard() {
    serial.attach(to: bus)
    bridge.attach(to: bus)
    bridge.plug(makeHostBridgeFunction(), device: 0)
    let piix3 = PIIX3Bridge()
    bridge.plug(piix3, device: 1)
    wiring.follow(piix3)
    bus.connect(binding)
    bus.observe(binding)
    DebugExit { [weak self] value in self?.finish(.ended(value)) }.attach(to: bus)
  }

  private func makeRunners(_ vCPUs: [VirtualCPU], trace: AccessTrace?) -> [VCPURunner] {
    vCPUs.enumerated().map { index, vCPU in
      let processor = index < configuration.pinning.count ? configuration.pinning[index] : nil
      return VCPURunner(vCPU: vCPU, bus: bus, binding: binding, trace: trace, processor: processor) {
        [weak self] _, outcome in
        if let outcome { self?.finish(outcome) }
      }
    }
  }

  /// The most vCPUs of one machine, even if KVM allows more. Without x2APIC, APIC IDs have 8 bits, and 255 means all.
  package static let addressableVCPUs = 255

  private static func check(_ configuration: MachineConfiguration, system: System) throws(Failure) {
    let most = min(system.maximumVCPUs, addressableVCPUs)
    guard (1...most).contains(configuration.vCPUs) else {
      throw Failure(
        "create a machine with \(configuration.vCPUs) vCPUs",
        cause: most < addressableVCPUs
          ? "this host's KVM allows 1 to \(most)"
          : "swiftlet allows 1 to \(most), because APIC IDs have 8 bits without x2APIC",
        fix: "Choose another number with --cpus.")
    }
    for capability in System.Capability.allCases where capability.isRequired && system.check(capability) == 0 {
      throw Failure("create a machine", cause: "this host's KVM lacks \(capability)", fix: "Run: swiftlet doctor")
    }
  }

  private func checkTrace() throws(Failure) {
    let known = Set(bus.rangeNames.map(AccessTrace.device))
    for device in configuration.trace?.devices ?? [] where !known.contains(device) {
      throw Failure(
        "trace accesses to \(device)", cause: "this machine has no such device",
        fix: "Choose from: \(known.sorted().joined(separator: ", ")).")
    }
  }

  deinit { tearDown() }

  // MARK: Assembly

  /// Keeps a device, to detach it at the end, and its counters, if it has any.
  func adopt(_ device: any Device, _ counters: Counters? = nil) {
    devices.append(device)
    if let counters { deviceCounters.append(counters) }
  }

  // MARK: Running

  /// Starts the vCPUs. Each thread runs `preparing` before the guest.
  package func start(preparing: (@Sendable () -> Void)? = nil) {
    if let timeout = configuration.timeout {
      timeoutTimer = loop.makeTimer { [weak self] in self?.finish(.timedOut) }
      timeoutTimer?.set(after: timeout)
    }
    for runner in runners { runner.start(preparing: preparing) }
    // After the vCPUs: a `pause` from another thread may hold the lock, and waits for them.
    if let watchdog = configuration.watchdog {
      isPaused.withLock { isPaused in if !isPaused { watchdogTimer?.set(after: watchdog) } }
    }
  }

  /// Waits until the guest ends or `stop` is called, then tears the machine down.
  package func wait() -> MachineOutcome {
    finished.wait()
    tearDown()
    return outcome.withLock { $0 } ?? .stopped
  }

  /// Ends the machine from outside.
  package func stop() { finish(.stopped) }

  /// How long `pause` waits for requests that are under way, in nanoseconds.
  private static let pausePatience: UInt64 = 10_000_000_000

  /// Pauses the vCPUs and then the devices, until `resume`. Afterwards nothing changes the guest's memory.
  ///
  /// The guest's clocks continue. A frame that arrives waits in its backend. The watchdog pauses, but `timeout` does not.
  /// Not on the loop's thread, which a vCPU may be waiting for.
  ///
  /// - Returns: whether the machine is paused. It is not if it ends meanwhile, or if its storage does not answer for 10 s;
  ///   then it continues.
  @discardableResult
  package func pause() -> Bool {
    isPaused.withLock { isPaused in
      guard !isPaused, !hasEnded else { return isPaused }
      isPaused = true
      // On the loop, so that no check of the watchdog is under way, which would set the timer again.
      loop.sync { [watchdogTimer] in watchdogTimer?.cancel() }
      let limit = MonotonicClock().now + Self.pausePatience
      for latch in runners.map({ $0.pause() }) {
        while !hasEnded, !latch.wait(nanoseconds: 10_000_000) {}
      }
      while !hasEnded, !areDevicesPaused() {
        guard MonotonicClock().now < limit else {
          isPaused = false
          continueRunning()
          return false
        }
        usleep(100)
      }
      return !hasEnded
    }
  }

  private func areDevicesPaused() -> Bool {
    let quiet = Atomic(true)
    loop.sync { [devices] in
      for device in devices where !device.pause() { quiet.store(false, ordering: .relaxed) }
    }
    return quiet.load(ordering: .relaxed)
  }

  /// Continues after `pause`.
  package func resume() {
    isPaused.withLock { isPaused in
      guard isPaused, !hasEnded else { return }
      isPaused = false
      continueRunning()
    }
  }

  private func continueRunning() {
    loop.sync { [devices] in for device in devices { device.start() } }
    activity.note()
    if let watchdog = configuration.watchdog { watchdogTimer?.set(after: watchdog) }
    for runner in runners { runner.resume() }
  }

  private var hasEnded: Bool { outcome.withLock { $0 != nil } }

  /// Makes a vCPU leave the guest and enter it again. For tests of lost wake-ups.
  package func kick(vCPU index: Int) { if runners.indices.contains(index) { runners[index].kick() } }

  /// Presses the power button. The guest decides how to react.
  package func pressPowerButton() { fixedHardware?.pressPowerButton() }

  /// Ends the machine as crashed, with the registers of the vCPU that the calling thread runs.
  func crashed(_ cause: String) {
    guard let runner = runners.first(where: \.vCPU.isCurrentThread) else { return }
    finish(.crashed(CrashReport(vCPU: runner.vCPU, cause: cause, log: runner.log)))
  }

  func finish(_ result: MachineOutcome) {
    let isFirst = outcome.withLock { outcome in
      guard outcome == nil else { return false }
      outcome = result
      return true
    }
    guard isFirst else { return }
    bus.endWaiting()
    for runner in runners { runner.stop() }
    finished.open()
  }

  private func tearDown() {
    let isFirst = isTornDown.withLock { done in
      defer { done = true }
      return !done
    }
    guard isFirst else { return }
    bus.endWaiting()
    for runner in runners { runner.stop() }
    for runner in runners { runner.join() }
    if let watchdogTimer { loop.remove(watchdogTimer) }
    if let timeoutTimer { loop.remove(timeoutTimer) }
    // Devices and lines belong to the loop's thread, so detach them there, between two handlers.
    loop.sync { [devices, wiring, configuration] in
      for device in devices { device.detach() }
      wiring.detach()
      // A disk may still access guest memory. Requests that have not started were never acknowledged, so drop them.
      for disk in configuration.disks { disk.storage.cancel() }
    }
    // `pause` and `resume`, on other threads, read them under this lock.
    isPaused.withLock { _ in devices = [] }
    for (_, _, function) in bridge.functions { function.unplug() }
    bus.removeAll()
  }

  // MARK: The watchdog

  /// Ends the machine as crashed if the guest prints nothing for `limit` nanoseconds.
  private func checkWatchdog(_ limit: UInt64) {
    // Read `last` first: output between the two reads must not be later than `now`.
    let last = activity.last.load(ordering: .relaxed)
    let now = loop.clock.now
    let silent = now > last ? now - last : 0
    if silent < limit {
      watchdogTimer?.set(after: limit - silent)
      return
    }
    // A vCPU may be waiting for a request that only this loop can complete.
    bus.endWaiting()
    for runner in runners { runner.stop() }
    for runner in runners { runner.join() }
    guard let first = runners.first else { return }
    let seconds = Double(limit / 1_000_000) / 1000
    finish(
      .crashed(CrashReport(vCPU: first.vCPU, cause: "it printed nothing for \(seconds) s (watchdog)", log: first.log)))
  }

  // MARK: Counting

  /// All counts of this machine so far, except its loop's.
  package var counters: CounterSnapshot {
    CounterSnapshot(summing: runners.map(\.counters) + deviceCounters + [binding.counters, refusals.counters])
  }

  /// The counts of each device and vCPU, by name.
  package var countersByOwner: [(owner: String, counters: CounterSnapshot)] {
    (runners.map(\.counters) + deviceCounters + [binding.counters, refusals.counters]).map {
      ($0.owner, CounterSnapshot(summing: [$0]))
    }
  }

  /// Processor time of the vCPU threads, in nanoseconds.
  package var vCPUTime: UInt64 { runners.reduce(0) { $0 + $1.threadTime } }

  /// KVM's count of all exits, including those that the kernel serves; nil if the kernel does not report it.
  package var kernelExits: UInt64? {
    var total: UInt64 = 0
    for runner in runners {
      guard let exits = runner.kernelStatistics?["exits"] else { return nil }
      total += exits
    }
    return total
  }

  /// The exits for each register, of all vCPUs, most frequent first. Only after `wait`.
  package var exitsByRegister: [(address: UInt64, isPort: Bool, isWrite: Bool, count: UInt64)] {
    struct Register: Hashable {
      var address: UInt64
      var isPort: Bool
      var isWrite: Bool
    }
    var counts: [Register: UInt64] = [:]
    for access in runners.flatMap(\.log.byRegister) {
      counts[Register(address: access.address, isPort: access.isPort, isWrite: access.isWrite), default: 0] +=
        access.count
    }
    return counts.map { ($0.address, $0.isPort, $0.isWrite, $1) }.sorted { ($1.3, $0.0) < ($0.3, $1.0) }
  }
}

/// Records the time of the guest's last output, for its watchdog.
private final class ActivityNotingSerial: SerialBackend {
  let last: Atomic<UInt64>
  private let backend: any SerialBackend
  private let clock: any LoopClock

  init(_ backend: any SerialBackend, clock: any LoopClock) {
    self.backend = backend
    self.clock = clock
    last = Atomic(clock.now)
  }

  func transmit(_ byte: UInt8) {
    note()
    backend.transmit(byte)
  }

  func note() { last.store(clock.now, ordering: .relaxed) }

  var hasRoom: Bool { backend.hasRoom }
  func onRoom(_ body: @escaping @Sendable () -> Void) { backend.onRoom(body) }
}
