import Backends
import Counters
import EventLoop
import Failures
import Machine

/// The files and interfaces that a run opens for its machine: disks, captures, taps and COM1's output.
///
/// `close` closes the disks. If the machine never started, it also removes the files that the run created.
final class RunResources {
  private let loop: EventLoop
  private let network: NetworkSwitch
  private var files: [FileStorage] = []
  private var logs: [StorageLog] = []
  private var captures: [PacketCapture] = []
  private(set) var taps: [TapBackend] = []
  private var inherited: [TapBackend.Inherited] = []
  private(set) var networkCounters: [Counters] = []
  private(set) var console: DescriptorSerial?
  private(set) var statistics: OutputFile?
  /// Set when the machine starts. Created files are then kept.
  var hasStarted = false

  init(loop: EventLoop) {
    self.loop = loop
    network = NetworkSwitch(loop: loop)
  }

  func close() {
    if !hasStarted {
      for capture in captures { capture.removeIfMade() }
      for log in logs { log.removeIfMade() }
      console?.removeIfMade()
      statistics?.removeIfMade()
    }
    for file in files { file.close() }
  }

  /// The losses of data for a log, a capture or COM1's output.
  var failures: [Failure] {
    logs.compactMap(\.failure) + captures.compactMap(\.failure) + [console?.failure].compactMap { $0 }
  }

  // MARK: Opening

  func openDisk(_ settings: DiskSettings, number: Int) throws(Failure) -> MachineConfiguration.Disk {
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
    return .init(storage: storage, model: settings.model, serial: "SWIFTLET\(number)")
  }

  /// Opens COM1's output. Call it after opening the disks: their locks keep the output from overwriting one of them.
  func openConsole(_ console: RunCommand.Console) throws(Failure) {
    switch console {
    case .standardStreams: self.console = try DescriptorSerial(descriptor: 1, name: "standard output")
    case .file(let path): self.console = try DescriptorSerial(path: path)
    case .nowhere: break
    }
  }

  /// Opens the file for statistics, before the guest runs, so that a bad path fails early.
  func openStatistics(_ path: String) throws(Failure) {
    statistics = try OutputFile(
      path, .text, action: "write the statistics to \(path)", what: "a text file", option: "--stats json=FILE",
      keepsContents: true)
  }

  func openNIC(_ settings: NICSettings, number: Int) throws(Failure) -> MachineConfiguration.NIC {
    var backend: any NetworkBackend
    switch settings.backend {
    case .switch:
      let port = network.makePort(name: "port\(number)")
      networkCounters.append(port.counters)
      backend = port
    case .tap(let interface, let isMade):
      let tap = try TapBackend(interface: interface, isMade: isMade, loop: loop, counters: counters("tap\(number)"))
      taps.append(tap)
      backend = tap
    case .descriptor(let descriptor):
      let tap = try TapBackend(inherit(descriptor), loop: loop, counters: counters("tap\(number)"))
      taps.append(tap)
      backend = tap
    }
    if let path = settings.capture {
      let capture = try PacketCapture(backend, path: path, counters: counters("pcap\(number)"))
      captures.append(capture)
      backend = capture
    }
    return .init(
      backend: backend, model: settings.model, macAddress: settings.macAddress, mtu: settings.mtu,
      queuePairs: settings.queuePairs)
  }

  private func inherit(_ descriptor: Int32) throws(Failure) -> TapBackend.Inherited {
    let tap = try TapBackend.inherit(descriptor)
    guard !inherited.contains(where: { $0.isSameTap(as: tap) }) else {
      throw Failure(
        "use descriptor \(descriptor) as a tap", cause: "another --net already uses the tap \(tap.interface)",
        fix: "Give each NIC its own tap.")
    }
    inherited.append(tap)
    return tap
  }

  private func counters(_ owner: String) -> Counters {
    let counters = Counters(owner: owner)
    networkCounters.append(counters)
    return counters
  }
}
