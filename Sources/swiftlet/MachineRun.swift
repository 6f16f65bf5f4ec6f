import Backends
import Boot
import Counters
import EventLoop
import Failures
import Foundation
import GuestImages
import KVM
import Machine

/// One `swiftlet run`, from its options to its status; what it opened is closed again however it ends.
struct MachineRun {
  private let options: RunCommand
  private let system: System
  private let loop: EventLoop

  init(_ options: RunCommand) throws {
    self.options = options
    system = try System()
    loop = try EventLoop()
  }

  func run() throws -> Int32 {
    var configuration = MachineConfiguration(kernel: try kernel())
    configuration.commandLine = options.append
    if let initrd = options.initrd {
      configuration.initialRAMDisk = try BootFile(path: initrd, fix: "Give the kernel's with --initrd, or none.")
    }
    configuration.vCPUs = options.cpus
    configuration.memorySize = try memorySize()
    configuration.disabled = try disabledSwitches()
    configuration.pinning = try processors()
    configuration.timeout = try timeout()
    configuration.trace = options.trace.map { names in
      MachineConfiguration.Trace(devices: Set(names.split(separator: ",").map(String.init))) { StandardError.print($0) }
    }
    let format = try StatisticsFormat(options.stats)
    if let kind = serialFile, kind.isEmpty { throw unknownSerial }
    if serialFile == nil, !["stdio", "none"].contains(options.serial) { throw unknownSerial }
    let disks = try options.disk.map { (text) throws(Failure) in try DiskSettings(text) }
    let nics = try NICSettings.all(options.net)
    loop.start()
    defer { loop.stop() }
    // Files that a run makes and then cannot use go again.
    var captures: [PacketCapture] = []
    var logs: [StorageLog] = []
    var console: DescriptorSerial?
    var hasStarted = false
    defer {
      if !hasStarted {
        for capture in captures { capture.removeIfMade() }
        for log in logs { log.removeIfMade() }
        console?.removeIfMade()
      }
    }
    var files: [FileStorage] = []
    defer { for file in files { file.close() } }
    for (index, settings) in disks.enumerated() {
      let file = try FileStorage(
        path: settings.file, cache: settings.cache, isReadOnly: settings.isReadOnly, takesAnyFormat: settings.isRaw,
        loop: loop, counters: loop.counters)
      files.append(file)
      var storage: any Storage = file
      if let path = settings.log {
        let log = try StorageLog(file, path: path)
        logs.append(log)
        storage = log
      }
      configuration.disks.append(.init(storage: storage, model: settings.model, serial: "SWIFTLET\(index)"))
    }
    // Behind the disks' locks, so that none of them is written over.
    console = try serialBackend()
    if let console { configuration.serial = console }
    let network = NetworkSwitch(loop: loop)
    var networkCounters: [Counters] = []
    var taps: [TapBackend] = []
    for (index, settings) in nics.enumerated() {
      let nic = try backend(settings, index: index, network, &networkCounters, &taps)
      if let capture = nic as? PacketCapture { captures.append(capture) }
      configuration.nics.append(
        .init(
          backend: nic, model: settings.model, macAddress: settings.macAddress, mtu: settings.mtu,
          queuePairs: settings.queuePairs))
    }
    let machine = try Machine(configuration, system: system, loop: loop)
    let interrupts = InterruptSignals(machine: machine)
    defer { interrupts.restore() }
    // A reader of standard output that goes away ends the machine, in order.
    signal(SIGPIPE, SIG_IGN)
    console?.onFailure { [weak machine, hasReader = serialFile == nil] in if hasReader { machine?.stop() } }
    let input = options.serial == "stdio" ? try ConsoleInput(machine: machine, output: configuration.serial) : nil
    defer { input?.close() }
    hasStarted = true
    let start = loop.clock.now
    machine.start()
    let outcome = machine.wait()
    input?.close()
    finish(console, outcome, interrupts, start: start)
    if case .crashed(let report) = outcome { StandardError.print("\(report)") }
    if case .timedOut = outcome {
      StandardError.print("swiftlet: the guest ran longer than --timeout \(options.timeout ?? 0)")
    }
    if let refusal = machine.refusals.first {
      let count = machine.refusals.count
      StandardError.print(
        "swiftlet: KVM refused \(count) of the machine's requests; the guest ran without them. The first: \(refusal)")
    }
    let failures = logs.compactMap(\.failure) + captures.compactMap(\.failure) + [console?.failure].compactMap { $0 }
    for failure in failures { StandardError.print("swiftlet: \(failure)") }
    try format?.write(MachineStatistics(machine, outcome: outcome, loop: loop, network: networkCounters, taps: taps))
    // A run that lost some of what it was to write has no success.
    return outcome.status == 0 && !failures.isEmpty ? 1 : outcome.status
  }

  /// Writes the rest of the guest's output. A reader that has stopped is waited for like by any program, until a signal or
  /// `--timeout` ends that; where one of them ended the guest, it has a second.
  private func finish(
    _ console: DescriptorSerial?, _ outcome: MachineOutcome, _ interrupts: InterruptSignals, start: UInt64
  ) {
    let end = loop.clock.now
    let limit = (try? timeout()) ?? nil
    console?.finish {
      switch outcome {
      case .stopped, .timedOut: loop.clock.now > end + 1_000_000_000
      default: interrupts.hasEnded || limit.map { loop.clock.now > start &+ $0 } ?? false
      }
    }
  }

  // MARK: Options

  private func kernel() throws(Failure) -> BootFile {
    if options.kernel == "test-guest" { return BootFile(GuestImage.bytes, name: "test-guest") }
    return try BootFile(
      path: options.kernel, fix: "Give vmlinuz, vmlinux, another PVH ELF or test-guest with --kernel.")
  }

  private func memorySize() throws(Failure) -> Int {
    let size = options.memory.bytes
    let action = "give the guest \(size) bytes of memory"
    guard size % 4096 == 0, size >= 2 << 20 else {
      throw Failure(action, cause: "it must be at least 2M and a multiple of 4096", fix: "Use --memory 128M.")
    }
    guard size <= HostMemory.total else {
      throw Failure(
        action, cause: "this host has \(HostMemory.total >> 20) MiB in all",
        fix: "Use --memory \(HostMemory.available >> 20)M or less, which is what is free.")
    }
    return size
  }

  private func disabledSwitches() throws(Failure) -> Set<AccelerationSwitch> {
    var disabled: Set<AccelerationSwitch> = []
    for name in (options.disable ?? "").split(separator: ",") {
      guard let known = AccelerationSwitch(rawValue: String(name)) else {
        let all = AccelerationSwitch.allCases.map(\.rawValue).joined(separator: ", ")
        throw Failure("read --disable \(name)", cause: "there is no such acceleration", fix: "Use some of: \(all).")
      }
      disabled.insert(known)
    }
    return disabled
  }

  private func processors() throws(Failure) -> [Int] {
    var processors: [Int] = []
    let count = ProcessInfo.processInfo.processorCount
    for name in (options.pin ?? "").split(separator: ",") {
      guard let processor = Int(name), (0..<count).contains(processor) else {
        throw Failure(
          "pin a vCPU to processor \(name)", cause: "this host has processors 0 to \(count - 1)",
          fix: "Use --pin 0, or none.")
      }
      processors.append(processor)
    }
    return processors
  }

  private func timeout() throws(Failure) -> UInt64? {
    guard let seconds = options.timeout else { return nil }
    guard seconds > 0, seconds <= 1e9 else {
      throw Failure("end the guest after \(seconds) s", cause: "that is no time span", fix: "Use --timeout 60.")
    }
    return UInt64(seconds * 1e9)
  }

  /// The file of `--serial file=F`, empty where F is missing; nil for the other kinds.
  private var serialFile: String? {
    options.serial.hasPrefix("file=") ? String(options.serial.dropFirst(5)) : nil
  }

  private var unknownSerial: Failure {
    Failure("read --serial \(options.serial)", cause: "it is not known", fix: "Use stdio, none or file=FILE.")
  }

  /// Nil for nowhere.
  private func serialBackend() throws(Failure) -> DescriptorSerial? {
    if let serialFile { return try DescriptorSerial(path: serialFile) }
    return options.serial == "stdio" ? try DescriptorSerial(descriptor: 1, name: "standard output") : nil
  }

  private func backend(
    _ settings: NICSettings, index: Int, _ network: NetworkSwitch, _ counters: inout [Counters],
    _ taps: inout [TapBackend]
  ) throws(Failure) -> any NetworkBackend {
    var backend: any NetworkBackend
    if let interface = settings.interface {
      let tapCounters = Counters(owner: "tap\(index)")
      counters.append(tapCounters)
      let tap = try TapBackend(
        interface: interface, isMade: settings.makesInterface, loop: loop, counters: tapCounters)
      taps.append(tap)
      backend = tap
    } else {
      let port = network.makePort(name: "port\(index)")
      counters.append(port.counters)
      backend = port
    }
    guard let path = settings.capture else { return backend }
    let captureCounters = Counters(owner: "pcap\(index)")
    counters.append(captureCounters)
    return try PacketCapture(backend, path: path, counters: captureCounters)
  }
}
