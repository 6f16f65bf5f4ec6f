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
  /// The tap; nil for the switch.
  let interface: String?
  /// Whether to create the tap if it does not exist.
  let makesInterface: Bool
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
      guard settings.interface == nil || !all.contains(where: { $0.interface == settings.interface }) else {
        throw Failure("read --net \(text)", cause: "two NICs have the same tap", fix: "Give each its own interface=.")
      }
      all.append(settings)
    }
    return all
  }

  private init(_ text: String, index: Int) throws(Failure) {
    let settings = try KeyValueOption(
      text, option: "--net", keys: ["backend", "interface", "create", "model", "mac", "pcap", "mtu", "queues"])
    enum Kind: String, CaseIterable { case `switch`, tap }
    makesInterface = try settings.choice("create", default: Switch.off) == .on
    switch try settings.choice("backend", default: Kind.switch) {
    case .switch:
      for key in ["interface", "create"] where settings[key] != nil {
        throw Failure("read --net \(text)", cause: "backend=switch takes no \(key)=", fix: "Use it with backend=tap.")
      }
      interface = nil
    case .tap: interface = try settings.required("interface")
    }
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
