import Foundation
import Measurement

/// Reports for tests, made as a file is: from JSON.
enum SampleReport {
  /// One side of a point, with its samples.
  struct Side {
    var experiment: String
    var mode: String
    var samples: [Double]
    var unit = "bytes/s"
    var vmm: String?
    var parameters: [String: Any] = [:]
    var exits: Double?
    var latencies: [Double]?
    var fairness: (jain: Double, worst: Double)?
  }

  private static let devices = ["FV": "ide", "PV": "virtio-blk", "guest": "cpu", "host": "none"]

  static func object(_ side: Side) -> [String: Any] {
    var record: [String: Any] = [
      "experiment": side.experiment, "mode": side.mode, "device": devices[side.mode] ?? "none",
      "vmm": side.vmm ?? (side.mode == "host" ? "none" : "swiftlet"), "parameters": side.parameters,
      "operations": 1000.0, "perOperation": side.exits.map { ["exits": $0, "kernelExits": 4 * $0] } ?? [:],
      "cpuSeconds": ["vCPU": 0.5, "io": 0.25, "endpoint": 0.0, "steal": 0.0], "drops": [String: Int](),
      "load": side.samples.map { _ in 0.5 },
    ]
    let statistics = SampleStatistics(side.samples)
    var value: [String: Any] = ["unit": side.unit, "ci95": statistics.ci95 as Any, "samples": side.samples]
    if statistics.ci95 == nil { value["ci95"] = NSNull() }
    value[side.unit == "ns" ? "p50" : "mean"] = statistics.mean
    record[side.unit == "ns" ? "latency" : "throughput"] = value
    if let fairness = side.fairness { record["fairness"] = ["jain": fairness.jain, "worstShare": fairness.worst] }
    return record
  }

  static func object(_ sides: [Side], kvm: String = "pvm") -> [String: Any] {
    [
      "schema": 1, "swiftlet": "swiftlet 0.1.0", "commandLine": "swiftlet compare", "date": "2026-11-28T05:00:00Z",
      "host": ["cpu": "CPU", "cores": 2, "memoryBytes": 1024, "kernel": "6.1", "kvm": kvm, "load": 0.5],
      "results": sides.map { object($0) },
    ]
  }

  static func report(_ object: [String: Any]) throws -> Report {
    try ReportFile(JSONSerialization.data(withJSONObject: object), name: "test").reports[0]
  }

  static func report(_ sides: [Side], kvm: String = "pvm") throws -> Report {
    try report(object(sides, kvm: kvm))
  }

  /// A report with a point of most kinds: sweeps, bars, latency, several machines, a later experiment, and a peer.
  static func full(_ change: (inout [String: Any]) -> Void = { _ in }) throws -> Report {
    var sides: [Side] = []
    func near(_ mean: Double) -> [Double] { [mean * 0.99, mean, mean * 1.01] }
    for count in [1, 2] {
      for (mode, rate) in [("host", 46_000.0), ("guest", 45_900.0)] {
        sides.append(
          Side(
            experiment: "cpu", mode: mode, samples: near(rate * Double(count)), unit: "operations/s",
            parameters: ["vCPUs": count]))
      }
    }
    for (block, rate) in [(4096, 60e6), (65_536, 500e6), (1_048_576, 2000e6)] {
      for (mode, part, exits) in [("host", 1.0, nil), ("FV", 0.3, 4.0), ("PV", 0.6, 0.0)] as [(String, Double, Double?)]
      {
        sides.append(
          Side(
            experiment: "disk-write", mode: mode, samples: near(rate * part),
            parameters: ["blockBytes": block, "queueDepth": 1, "backend": "file", "disabled": ["polling"]], exits: exits
          ))
      }
      for vmm in ["swiftlet", "qemu"] {
        sides.append(
          Side(
            experiment: "disk-read", mode: "FV", samples: near(vmm == "qemu" ? rate / 2 : rate), vmm: vmm,
            parameters: ["blockBytes": block, "backend": "file", "interrupts": "poll"], exits: 4))
      }
    }
    for frame in [60, 1514, 64_294] {
      for (mode, rate) in [("FV", 800e6), ("PV", 1600e6)] {
        sides.append(
          Side(
            experiment: "net-inter-vm", mode: mode, samples: near(rate), unit: frame == 60 ? "frames/s" : "bytes/s",
            parameters: ["frameBytes": frame, "backend": "switch", "vms": 2], exits: mode == "FV" ? 0.01 : 0))
      }
      sides.append(
        Side(
          experiment: "loopback", mode: "host", samples: near(1000e6), unit: frame == 60 ? "frames/s" : "bytes/s",
          parameters: ["frameBytes": frame, "backend": "socketpair"]))
    }
    for count in [2, 4, 8] {
      for mode in ["FV", "PV"] {
        sides.append(
          Side(
            experiment: "net-scale", mode: mode, samples: near(900e6 + Double(count) * 50e6),
            parameters: ["vms": count, "frameBytes": 1514, "backend": "switch"], exits: 0.01, fairness: (0.99, 0.9)))
      }
    }
    for (mode, time) in [("FV", 60_000.0), ("PV", 18_000)] {
      sides.append(Side(experiment: "net-latency", mode: mode, samples: near(time), unit: "ns", exits: 1))
    }
    for (access, rate) in [("exit", 36_000.0), ("kick", 145_000), ("coalesced", 280_000)] {
      sides.append(
        Side(
          experiment: "exit-cost", mode: "guest", samples: near(rate), unit: "operations/s",
          parameters: ["access": access], exits: 1))
    }
    sides.append(Side(experiment: "gpu-render", mode: "PV", samples: near(30), unit: "pictures/s"))
    var object = object(sides)
    change(&object)
    return try report(object)
  }
}
