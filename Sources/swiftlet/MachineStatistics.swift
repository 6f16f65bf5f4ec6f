import Backends
import Counters
import EventLoop
import Failures
import Foundation
import Machine

/// The counts of a run, for `--stats`.
struct MachineStatistics: Encodable {
  struct Register: Encodable {
    var space: String
    var address: String
    var access: String
    var exits: UInt64
  }

  struct Tap: Encodable {
    var interface: String
    var hasLink: Bool
    /// The offloads that the kernel left to the guest at the end.
    var offloads: [String]
  }

  var outcome: String
  var exits: UInt64
  var kernelExits: UInt64?
  var vCPUSeconds: Double
  var ioSeconds: Double
  /// Counts that are not zero, by owner and name.
  var counters: [String: [String: UInt64]]
  /// Taps, by the name of their counters.
  var taps: [String: Tap]
  /// What confined the process; empty with `--sandbox off`.
  var sandbox: [String]
  var exitsByRegister: [Register]

  init(
    _ machine: Machine, outcome: MachineOutcome, loop: EventLoop, network: [Counters], taps: [TapBackend],
    sandbox: [String]
  ) {
    self.sandbox = sandbox
    self.outcome =
      switch outcome {
      case .ended(let value): "ended \(value)"
      case .poweredOff: "powered off"
      case .reset: "reset"
      case .crashed(let report): "crashed: \(report.cause)"
      case .stopped: "stopped"
      case .timedOut: "timed out"
      }
    exits = machine.counters.exits
    kernelExits = machine.kernelExits
    vCPUSeconds = Double(machine.vCPUTime) / 1e9
    ioSeconds = Double(loop.cpuTime) / 1e9
    var counters: [String: [String: UInt64]] = [:]
    let owners =
      machine.countersByOwner + (network + [loop.counters]).map { ($0.owner, CounterSnapshot(summing: [$0])) }
    for (owner, snapshot) in owners {
      for counter in Counter.allCases where snapshot[counter] > 0 {
        counters[owner, default: [:]][counter.name] = snapshot[counter]
      }
    }
    self.counters = counters
    self.taps = [:]
    for tap in taps {
      let state = tap.state
      self.taps[tap.counters.owner] = Tap(
        interface: tap.interface, hasLink: state.hasLink, offloads: state.offloads.names)
    }
    exitsByRegister = machine.exitsByRegister.map {
      Register(
        space: $0.isPort ? "port" : "memory", address: "0x" + String($0.address, radix: 16),
        access: $0.isWrite ? "write" : "read", exits: $0.count)
    }
  }

  var text: String {
    var lines = ["\(outcome); \(exits) exits, \(kernelExits.map { "\($0)" } ?? "unknown") in the kernel"]
    lines.append(String(format: "vCPU threads %.3f s, I/O thread %.3f s", vCPUSeconds, ioSeconds))
    for (owner, values) in counters.sorted(by: { $0.key < $1.key }) {
      lines.append(
        "\(owner): " + values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    }
    for (owner, tap) in taps.sorted(by: { $0.key < $1.key }) {
      let offloads = tap.offloads.isEmpty ? "none" : tap.offloads.joined(separator: ",")
      lines.append("\(owner): on \(tap.interface), link \(tap.hasLink ? "up" : "down"), offloads \(offloads)")
    }
    lines.append("sandbox: \(sandbox.isEmpty ? "off" : sandbox.joined(separator: ", "))")
    lines.append("exits by register:")
    for register in exitsByRegister.prefix(24) {
      lines.append("  \(register.exits)\t\(register.access) \(register.space) \(register.address)")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

/// The format and destination of `--stats`.
struct StatisticsFormat {
  private let isJSON: Bool
  /// The file of `json=FILE`.
  let path: String?

  /// Parses `option`; nil if there is no `--stats`.
  init?(_ option: String?) throws(Failure) {
    guard let option else { return nil }
    let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let format = parts.first, ["text", "json"].contains(format), parts.last != "" else {
      throw Failure("read --stats \(option)", cause: "the format is unknown", fix: "Use text, json or json=FILE.")
    }
    isJSON = format == "json"
    path = parts.count > 1 ? parts[1] : nil
  }

  /// Writes to `file`, or to standard error if it is nil.
  func write(_ statistics: MachineStatistics, to file: OutputFile?) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let data = isJSON ? try encoder.encode(statistics) + Data("\n".utf8) : Data(statistics.text.utf8)
    guard let file else { return StandardError.write(String(decoding: data, as: UTF8.self)) }
    try file.replaceContents(with: Array(data))
  }
}
