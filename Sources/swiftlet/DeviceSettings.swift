import Backends
import Failures
import Foundation
import Machine

private enum Switch: String, CaseIterable { case on, off }

/// One `--disk` option, parsed and checked. It opens nothing.
struct DiskSettings {
  let file: String
  let model: MachineConfiguration.Disk.Model
  let cache: StorageCacheMode
  let isReadOnly: Bool
  /// `format=raw` was given, so use the file as raw even if it looks like another format.
  let isRaw: Bool
  /// The log for every change of the disk; nil for none.
  let log: String?

  init(_ text: String) throws(Failure) {
    let settings = try KeyValueOption(
      text, option: "--disk", keys: ["file", "format", "model", "cache", "readonly", "log"])
    enum Format: String, CaseIterable { case raw }
    isRaw = settings["format"] != nil
    _ = try settings.choice("format", default: Format.raw)
    file = try settings.required("file")
    model = try settings.choice("model", default: MachineConfiguration.Disk.Model.virtio)
    cache = try settings.choice("cache", default: StorageCacheMode.writeback)
    isReadOnly = try settings.choice("readonly", default: Switch.off) == .on
    log = settings["log"] == nil ? nil : try settings.required("log")
  }
}

/// One `--net` option, parsed and checked. It opens nothing.
struct NICSettings {
  enum Backend: Equatable {
    case `switch`
    /// - Parameter isMade: whether to create the tap if it does not exist.
    case tap(_ interface: String, isMade: Bool)
    /// A tap that the parent process opened.
    case descriptor(Int32)
  }

  let backend: Backend
  let model: MachineConfiguration.NIC.Model
  /// Six bytes.
  let macAddress: [UInt8]
  let capture: String?
  /// In bytes; only for virtio-net.
  let mtu: UInt16
  /// Queue pairs of virtio-net; nil for one per vCPU, at most 4.
  let queuePairs: Int?

  /// Parses every `--net` option of a run. Throws if an address or a tap is used twice.
  static func all(_ texts: [String]) throws(Failure) -> [NICSettings] {
    var all: [NICSettings] = []
    for (index, text) in texts.enumerated() {
      let settings = try NICSettings(text, index: index)
      guard !all.contains(where: { $0.macAddress == settings.macAddress }) else {
        throw Failure(
          "read --net \(text)", cause: "two NICs have the same address", fix: "Give each its own mac=, or none.")
      }
      try settings.checkTap(differsFrom: all, text)
      all.append(settings)
    }
    return all
  }

  private func checkTap(differsFrom others: [NICSettings], _ text: String) throws(Failure) {
    for other in others {
      switch (backend, other.backend) {
      case (.tap(let mine, _), .tap(let its, _)) where mine == its:
        throw Failure("read --net \(text)", cause: "two NICs have the same tap", fix: "Give each its own interface=.")
      case (.descriptor(let mine), .descriptor(let its)) where mine == its:
        throw Failure(
          "read --net \(text)", cause: "another --net already uses descriptor \(mine)", fix: "Give each its own fd=.")
      default: break
      }
    }
  }

  private init(_ text: String, index: Int) throws(Failure) {
    let settings = try KeyValueOption(
      text, option: "--net", keys: ["backend", "interface", "fd", "create", "model", "mac", "pcap", "mtu", "queues"])
    backend = try Self.backend(settings, text)
    model = try settings.choice("model", default: MachineConfiguration.NIC.Model.virtio)
    if let mac = settings["mac"] {
      macAddress = try Self.macAddress(mac)
    } else {
      macAddress = Self.defaultAddress(index)
    }
    capture = settings["pcap"] == nil ? nil : try settings.required("pcap")
    for key in ["mtu", "queues"] where model == .e1000 && settings[key] != nil {
      throw Failure(
        "read --net \(text)", cause: "model=e1000 takes no \(key)=, because its driver chooses",
        fix: "Use it with model=virtio.")
    }
    // VIRTIO 1.2, 5.1.4.1.
    mtu = UInt16(clamping: try settings.number("mtu", in: 68...65_535) ?? 1500)
    queuePairs = try settings.number("queues", in: 1...MachineConfiguration.NIC.queuePairLimit)
  }

  private static func backend(_ settings: KeyValueOption, _ text: String) throws(Failure) -> Backend {
    enum Kind: String, CaseIterable { case `switch`, tap }
    let isMade = try settings.choice("create", default: Switch.off) == .on
    // 0, 1 and 2 are the standard streams. The upper limit is the kernel's own (fs.nr_open).
    let descriptor = try settings.number("fd", in: 3...1_048_575)
    guard try settings.choice("backend", default: Kind.switch) == .tap else {
      for key in ["interface", "fd", "create"] where settings[key] != nil {
        throw Failure("read --net \(text)", cause: "backend=switch takes no \(key)=", fix: "Use it with backend=tap.")
      }
      return .switch
    }
    guard let descriptor else { return .tap(try settings.required("interface"), isMade: isMade) }
    for key in ["interface", "create"] where settings[key] != nil {
      throw Failure(
        "read --net \(text)", cause: "fd= takes no \(key)=, because the tap is already open",
        fix: "Use fd= or interface=.")
    }
    return .descriptor(Int32(descriptor))
  }

  private static func macAddress(_ text: String) throws(Failure) -> [UInt8] {
    let bytes = text.split(separator: ":", omittingEmptySubsequences: false).map { part in
      part.utf8.count == 2 ? UInt8(part, radix: 16) : nil
    }
    guard bytes.count == 6, !bytes.contains(nil), let first = bytes[0], first & 1 == 0,
      bytes.contains(where: { $0 != 0 })
    else {
      throw Failure(
        "read mac=\(text)", cause: "it is not a unicast address of six bytes", fix: "Use one like 02:00:00:00:00:01.")
    }
    return bytes.compactMap { $0 }
  }

  /// A locally administered address that differs for each NIC and each process.
  private static func defaultAddress(_ index: Int) -> [UInt8] {
    let process = UInt32(truncatingIfNeeded: getpid())
    return [
      0x02, 0x73, UInt8(truncatingIfNeeded: process >> 16), UInt8(truncatingIfNeeded: process >> 8),
      UInt8(truncatingIfNeeded: process), UInt8(truncatingIfNeeded: index),
    ]
  }
}
