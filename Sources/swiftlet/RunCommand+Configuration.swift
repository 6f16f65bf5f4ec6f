import Boot
import Failures
import Foundation
import GuestImages
import Machine
import Sandbox

/// The machine's configuration from the options. `RunResources` opens disks, NICs and COM1.
extension RunCommand {
  func configuration() throws(Failure) -> MachineConfiguration {
    var configuration = MachineConfiguration(kernel: try kernelFile())
    configuration.commandLine = append
    if let initrd {
      configuration.initialRAMDisk = try BootFile(path: initrd, fix: "Use the kernel's own with --initrd, or none.")
    }
    configuration.vCPUs = cpus
    configuration.memorySize = try memorySize()
    configuration.disabled = try disabledSwitches()
    configuration.pinning = try processors()
    configuration.timeout = try timeoutNanoseconds()
    configuration.trace = trace.map { names in
      MachineConfiguration.Trace(devices: Set(names.split(separator: ",").map(String.init))) { StandardError.print($0) }
    }
    return configuration
  }

  private func kernelFile() throws(Failure) -> BootFile {
    if kernel == "test-guest" { return BootFile(GuestImage.bytes, name: "test-guest") }
    return try BootFile(
      path: kernel, fix: "Use --kernel with vmlinuz, vmlinux, another PVH ELF or test-guest.")
  }

  private func memorySize() throws(Failure) -> Int {
    let size = memory.bytes
    let action = "give the guest \(size) bytes of memory"
    guard size % 4096 == 0, size >= 2 << 20 else {
      throw Failure(action, cause: "it must be at least 2M and a multiple of 4096", fix: "Use --memory 128M.")
    }
    guard size <= HostMemory.total else {
      throw Failure(
        action, cause: "this host has \(HostMemory.total >> 20) MiB in total",
        fix: "Use --memory \(HostMemory.available >> 20)M or less, which is free now.")
    }
    return size
  }

  private func disabledSwitches() throws(Failure) -> Set<AccelerationSwitch> {
    var disabled: Set<AccelerationSwitch> = []
    for name in (disable ?? "").split(separator: ",") {
      guard let known = AccelerationSwitch(rawValue: String(name)) else {
        let all = AccelerationSwitch.allCases.map(\.rawValue).joined(separator: ", ")
        throw Failure("read --disable \(name)", cause: "there is no such acceleration", fix: "Choose from: \(all).")
      }
      disabled.insert(known)
    }
    return disabled
  }

  private func processors() throws(Failure) -> [Int] {
    var processors: [Int] = []
    let count = ProcessInfo.processInfo.processorCount
    for name in (pin ?? "").split(separator: ",") {
      guard let processor = Int(name), (0..<count).contains(processor) else {
        throw Failure(
          "pin a vCPU to processor \(name)", cause: "this host has processors 0 to \(count - 1)",
          fix: "Use --pin 0, or none.")
      }
      processors.append(processor)
    }
    return processors
  }

  /// The loop's `pollLimit`, in nanoseconds.
  func pollLimit() throws(Failure) -> UInt64 {
    guard (0...10_000).contains(poll) else {
      throw Failure("poll for \(poll) us", cause: "it must be 0 to 10000", fix: "Use --poll 100, or none.")
    }
    return UInt64(poll) * 1000
  }

  private func timeoutNanoseconds() throws(Failure) -> UInt64? {
    guard let seconds = timeout else { return nil }
    guard seconds > 0, seconds <= 1e9 else {
      throw Failure("end the guest after \(seconds) s", cause: "that is not a valid time", fix: "Use --timeout 60.")
    }
    return UInt64(seconds * 1e9)
  }

  /// The user that the process becomes; nil to keep its own.
  func identity() throws(Failure) -> UserIdentity? {
    guard let user else { return nil }
    guard sandbox == .on else {
      throw Failure(
        "read --user \(user)", cause: "--sandbox off does not change the identity", fix: "Leave one of them out.")
    }
    return try UserIdentity(user)
  }

  // MARK: COM1

  /// The other end of COM1.
  enum Console: Equatable {
    case standardStreams, nowhere
    case file(String)
  }

  func console() throws(Failure) -> Console {
    if serial == "stdio" { return .standardStreams }
    if serial == "none" { return .nowhere }
    if serial.hasPrefix("file="), serial.count > 5 { return .file(String(serial.dropFirst(5))) }
    throw Failure("read --serial \(serial)", cause: "it is unknown", fix: "Use stdio, none or file=FILE.")
  }
}
