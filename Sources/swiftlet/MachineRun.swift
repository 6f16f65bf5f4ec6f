import Backends
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
    var configuration = MachineConfiguration(kernel: try kernelBytes(), kernelName: options.kernel)
    configuration.commandLine = options.append
    configuration.vCPUs = options.cpus
    configuration.memorySize = try memorySize()
    configuration.disabled = try disabledSwitches()
    configuration.pinning = try processors()
    configuration.timeout = try timeout()
    configuration.serial = try serialBackend()
    let format = try StatisticsFormat(options.stats)
    loop.start()
    defer { loop.stop() }
    var files: [FileStorage] = []
    defer { for file in files { file.close() } }
    for (index, text) in options.disk.enumerated() {
      let (disk, file) = try makeDisk(text, index: index)
      files.append(file)
      configuration.disks.append(disk)
    }
    let network = NetworkSwitch(loop: loop)
    var networkCounters: [Counters] = []
    for (index, text) in options.net.enumerated() {
      let nic = try makeNIC(text, index: index, network, &networkCounters)
      if configuration.nics.contains(where: { $0.macAddress == nic.macAddress }) {
        throw Failure(
          "read --net \(text)", cause: "two NICs have one address", mend: "Give each its own mac=, or none.")
      }
      configuration.nics.append(nic)
    }

    let machine = try Machine(configuration, system: system, loop: loop)
    let input = options.serial == "stdio" ? StandardInput(machine: machine, loop: loop) : nil
    let interrupts = InterruptSignals(machine: machine)
    defer { interrupts.restore() }
    machine.start()
    let outcome = machine.wait()
    input?.close()
    (configuration.serial as? DescriptorSerial)?.flush()
    if case .crashed(let report) = outcome { FileHandle.standardError.write(Data("\(report)\n".utf8)) }
    if case .timedOut = outcome {
      FileHandle.standardError.write(
        Data("swiftlet: the guest ran longer than --timeout \(options.timeout ?? 0)\n".utf8))
    }
    try format?.write(MachineStatistics(machine, outcome: outcome, loop: loop, network: networkCounters))
    return outcome.status
  }

  // MARK: Options

  private func kernelBytes() throws(Failure) -> [UInt8] {
    if options.kernel == "test-guest" { return GuestImage.bytes }
    let action = "load \(options.kernel)"
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: options.kernel, isDirectory: &isDirectory) else {
      throw Failure(action, cause: "there is no such file", mend: "Give a PVH ELF, or test-guest, with --kernel.")
    }
    guard !isDirectory.boolValue, let data = FileManager.default.contents(atPath: options.kernel) else {
      throw Failure(
        action, cause: "it cannot be read", mend: "Check that it is a file you may read: ls -l \(options.kernel)")
    }
    return [UInt8](data)
  }

  private func memorySize() throws(Failure) -> Int {
    let size = options.memory.bytes
    let action = "give the guest \(size) bytes of memory"
    guard size % 4096 == 0, size >= 2 << 20 else {
      throw Failure(action, cause: "it must be at least 2M and a multiple of 4096", mend: "Use --memory 128M.")
    }
    let available = Int(ProcessInfo.processInfo.physicalMemory)
    guard size <= available else {
      throw Failure(
        action, cause: "this host has \(available >> 20) MiB in all", mend: "Use --memory \(available >> 21)M or less.")
    }
    return size
  }

  private func disabledSwitches() throws(Failure) -> Set<AccelerationSwitch> {
    var disabled: Set<AccelerationSwitch> = []
    for name in (options.disable ?? "").split(separator: ",") {
      guard let known = AccelerationSwitch(rawValue: String(name)) else {
        let all = AccelerationSwitch.allCases.map(\.rawValue).joined(separator: ", ")
        throw Failure("read --disable \(name)", cause: "there is no such acceleration", mend: "Use some of: \(all).")
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
          mend: "Use --pin 0, or none.")
      }
      processors.append(processor)
    }
    return processors
  }

  private func timeout() throws(Failure) -> UInt64? {
    guard let seconds = options.timeout else { return nil }
    guard seconds > 0, seconds <= 1e9 else {
      throw Failure("end the guest after \(seconds) s", cause: "that is no time span", mend: "Use --timeout 60.")
    }
    return UInt64(seconds * 1e9)
  }

  private func serialBackend() throws(Failure) -> any SerialBackend {
    switch options.serial {
    case "stdio": return DescriptorSerial(descriptor: 1, loop: loop)
    case "none": return NullSerial()
    case let text where text.hasPrefix("file=") && text.utf8.count > 5:
      return try DescriptorSerial(path: String(text.dropFirst(5)), loop: loop)
    default:
      throw Failure("read --serial \(options.serial)", cause: "it is not known", mend: "Use stdio, none or file=FILE.")
    }
  }

  private func makeDisk(
    _ text: String, index: Int
  ) throws(Failure) -> (MachineConfiguration.Disk, FileStorage) {
    let settings = try KeyValueOption(text, option: "--disk", keys: ["file", "model", "cache", "readonly"])
    enum Switch: String, CaseIterable { case on, off }
    let storage = try FileStorage(
      path: try settings.required("file"), cache: try settings.choice("cache", default: StorageCacheMode.writeback),
      isReadOnly: try settings.choice("readonly", default: Switch.off) == .on, loop: loop, counters: loop.counters)
    do {
      let model = try settings.choice("model", default: MachineConfiguration.Disk.Model.virtio)
      return (MachineConfiguration.Disk(storage: storage, model: model, serial: "SWIFTLET\(index)"), storage)
    } catch {
      storage.close()
      throw error
    }
  }

  private func makeNIC(
    _ text: String, index: Int, _ network: NetworkSwitch, _ counters: inout [Counters]
  ) throws(Failure) -> MachineConfiguration.NIC {
    let settings = try KeyValueOption(text, option: "--net", keys: ["backend", "interface", "model", "mac", "pcap"])
    enum Kind: String, CaseIterable { case `switch`, tap }
    var backend: any NetworkBackend
    switch try settings.choice("backend", default: Kind.switch) {
    case .switch:
      guard settings["interface"] == nil else {
        throw Failure("read --net \(text)", cause: "a switch has no interface=", mend: "Use backend=tap with it.")
      }
      let port = network.makePort(name: "port\(index)")
      counters.append(port.counters)
      backend = port
    case .tap:
      let tapCounters = Counters(owner: "tap\(index)")
      counters.append(tapCounters)
      backend = try TapBackend(interface: try settings.required("interface"), loop: loop, counters: tapCounters)
    }
    if let path = settings["pcap"] {
      let captureCounters = Counters(owner: "pcap\(index)")
      counters.append(captureCounters)
      backend = try PacketCapture(backend, path: path, counters: captureCounters)
    }
    return MachineConfiguration.NIC(
      backend: backend, model: try settings.choice("model", default: .virtio),
      macAddress: try settings["mac"].map { (text) throws(Failure) in try Self.macAddress(text) }
        ?? Self.defaultAddress(index))
  }

  private static func macAddress(_ text: String) throws(Failure) -> [UInt8] {
    let bytes = text.split(separator: ":", omittingEmptySubsequences: false).map { part in
      part.utf8.count == 2 ? UInt8(part, radix: 16) : nil
    }
    guard bytes.count == 6, !bytes.contains(nil), let first = bytes[0], first & 1 == 0 else {
      throw Failure(
        "read mac=\(text)", cause: "it is not a unicast address of six bytes", mend: "Use one like 02:00:00:00:00:01.")
    }
    return bytes.compactMap { $0 }
  }

  /// Locally administered, and different for each NIC and each process.
  private static func defaultAddress(_ index: Int) -> [UInt8] {
    let process = UInt32(truncatingIfNeeded: getpid())
    return [
      0x02, 0x73, UInt8(truncatingIfNeeded: process >> 16), UInt8(truncatingIfNeeded: process >> 8),
      UInt8(truncatingIfNeeded: process), UInt8(truncatingIfNeeded: index),
    ]
  }
}
