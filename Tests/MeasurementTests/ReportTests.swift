import Foundation
import Testing

@testable import Measurement

@Suite("Reports (JSON schema 1)")
struct ReportTests {
  /// Two samples of 1000 operations of 4096 bytes in half a second each.
  private static func samples(_ change: (inout MeasuredSample) -> Void = { _ in }) -> [MeasuredSample] {
    (0..<2).map { _ in
      var sample = MeasuredSample()
      sample.operations = 1000
      sample.bytes = 4_096_000
      sample.nanoseconds = 500_000_000
      sample.vCPUSeconds = 0.25
      sample.ioSeconds = 0.125
      sample.load = 0.5
      change(&sample)
      return sample
    }
  }

  private static func record(
    _ experiment: Record.Experiment, _ mode: Record.Mode, _ device: Record.Device, vmm: String? = nil,
    unit: String = "bytes/s", _ samples: [MeasuredSample] = samples(),
    _ change: (inout Record.Parameters) -> Void = { _ in }
  ) -> Record {
    var parameters = Record.Parameters()
    change(&parameters)
    let vmm = vmm ?? (mode == .host ? "none" : "swiftlet")
    let side = Point.Side(mode: mode, device: device, vmm: vmm) { HostLoopback(frameBytes: 60, duration: 1) }
    let point = Point(experiment: experiment, parameters: parameters, unit: unit, sides: [side], title: "")
    return Record(point, side: side, outcome: SideOutcome(samples: samples))
  }

  private static func report(_ records: [Record]) -> Report {
    Report(swiftlet: "swiftlet 0", host: HostDescription(), commandLine: "swiftlet compare", results: records)
  }

  private func object(_ record: Record) throws -> [String: Any] {
    let data = try Self.report([record]).json()
    let report = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(Set(report.keys) == ["schema", "swiftlet", "host", "commandLine", "results"])
    #expect(report["schema"] as? Int == 1)
    let host = try #require(report["host"] as? [String: Any])
    #expect(Set(host.keys) == ["cpu", "cores", "memoryBytes", "kernel", "kvm", "load"])
    return try #require((report["results"] as? [[String: Any]])?.first)
  }

  private func keys(_ value: Any?) -> Set<String> { Set((value as? [String: Any])?.keys.map { $0 } ?? []) }

  @Test("a record has these fields, and its rate is work divided by time")
  func fields() throws {
    let object = try object(Self.record(.diskRead, .paravirtualization, .virtioBlock) { $0.blockBytes = 4096 })
    #expect(
      Set(object.keys) == [
        "experiment", "mode", "device", "vmm", "parameters", "operations", "throughput", "perOperation", "cpuSeconds",
        "drops", "load", "steal",
      ])
    #expect(object["experiment"] as? String == "disk-read")
    #expect(object["mode"] as? String == "PV")
    #expect(object["device"] as? String == "virtio-blk")
    #expect(object["operations"] as? Double == 1000)
    #expect(keys(object["parameters"]) == ["blockBytes"])
    #expect(keys(object["throughput"]) == ["unit", "mean", "ci95", "samples"])
    #expect(keys(object["cpuSeconds"]) == ["vCPU", "io", "endpoint", "steal"])
    let throughput = try #require(object["throughput"] as? [String: Any])
    #expect(throughput["mean"] as? Double == 8_192_000)
    #expect(throughput["ci95"] as? Double == 0)
    #expect((throughput["samples"] as? [Double]) == [8_192_000, 8_192_000])
    #expect((object["load"] as? [Double]) == [0.5, 0.5])
  }

  @Test("unknown counts are null, not 0 and not omitted")
  func unknown() throws {
    let object = try object(Self.record(.diskRead, .host, .none))
    let counts = try #require(object["perOperation"] as? [String: Any])
    #expect(Set(counts.keys) == ["exits", "kernelExits", "doorbells", "coalesced", "interrupts", "bytesCopied"])
    #expect(counts.values.allSatisfy { $0 is NSNull })
    let single = try self.object(Self.record(.diskRead, .host, .none, [Self.samples()[0]]))
    #expect((single["throughput"] as? [String: Any])?["ci95"] is NSNull)
  }

  @Test("counts are divided by operations, and a count of 0 is 0")
  func counted() throws {
    let samples = Self.samples {
      $0.counters = .init()
      $0.kernelExits = 500
      $0.drops = ["dropsTap": 3]
    }
    let object = try object(Self.record(.netSend, .fullVirtualization, .e1000, unit: "frames/s", samples))
    let counts = try #require(object["perOperation"] as? [String: Any])
    #expect(counts["kernelExits"] as? Double == 0.5)
    #expect(counts["exits"] as? Double == 0)
    #expect((object["drops"] as? [String: Int]) == ["dropsTap": 6])
    #expect((object["throughput"] as? [String: Any])?["mean"] as? Double == 2000)
  }

  @Test("a count that is unknown in one sample is unknown")
  func partlyKnown() throws {
    var samples = Self.samples { $0.kernelExits = 5 }
    samples[1].kernelExits = nil
    let object = try object(Self.record(.netSend, .fullVirtualization, .e1000, samples))
    #expect((object["perOperation"] as? [String: Any])?["kernelExits"] is NSNull)
  }

  @Test("latency replaces throughput")
  func latency() throws {
    let samples = Self.samples { $0.values = ["p50": 100, "p99": 200, "p999": 300] }
    let object = try object(Self.record(.netLatency, .paravirtualization, .virtioNet, samples))
    #expect(object["throughput"] == nil)
    #expect(keys(object["latency"]) == ["unit", "p50", "p99", "p999", "ci95", "samples"])
    let latency = try #require(object["latency"] as? [String: Any])
    #expect(latency["unit"] as? String == "ns")
    #expect(latency["p99"] as? Double == 200)
    #expect(latency["samples"] as? [Double] == [100, 100])
    #expect(latency["ci95"] as? Double == 0)
  }

  @Test("every CSV line has one cell per column, which is empty if unknown")
  func csv() throws {
    let latency = Self.samples { $0.values = ["p50": 100, "p99": 200, "p999": 300] }
    let lines = Self.report([
      Self.record(.diskWrite, .host, .none) { $0.blockBytes = 512 },
      Self.record(.netLatency, .fullVirtualization, .e1000, latency),
    ]).csv.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
    #expect(lines.count == 3)
    #expect(lines.allSatisfy { $0.count == lines[0].count })
    #expect(Set(lines[0]).count == lines[0].count)
    func cell(_ line: Int, _ column: String) throws -> String {
      lines[line][try #require(lines[0].firstIndex(of: column), "\(column)")]
    }
    #expect(try cell(1, "experiment") == "disk-write")
    #expect(try cell(1, "blockBytes") == "512")
    #expect(try cell(1, "mean") == "8192000.0")
    #expect(try cell(1, "exits") == "")
    #expect(try cell(1, "p50") == "")
    #expect(try cell(2, "p50") == "100.0")
    #expect(try cell(2, "mean") == "")
    #expect(try cell(2, "unit") == "ns")
    #expect(try cell(1, "samples") == "8192000.0 8192000.0")
  }

  @Test("text with a comma, a quote or a formula's first character is one plain CSV cell")
  func csvText() {
    #expect(Report.csvCell("a,b") == "\"a,b\"")
    #expect(Report.csvCell("a\"b\n") == "\"a\"\"b\n\"")
    #expect(Report.csvCell("=1+1") == "'=1+1")
    #expect(Report.csvCell("plain") == "plain")
  }

  @Test("the table has a line for each point and never NaN or infinity, even without measurements")
  func table() throws {
    var empty = MeasuredSample()
    empty.counters = .init()
    for samples in [Self.samples(), [empty], []] {
      var records: [Record] = []
      for mode in [Record.Mode.host, .guest] {
        records.append(Self.record(.cpu, mode, .cpu, unit: "operations/s", samples) { $0.vCPUs = 1 })
      }
      for experiment in [Record.Experiment.diskWrite, .diskRead, .diskRandomRead] {
        for mode in [Record.Mode.host, .fullVirtualization, .paravirtualization] {
          records.append(Self.record(experiment, mode, .ide, samples) { $0.blockBytes = 4096 })
        }
      }
      for experiment in [Record.Experiment.netSend, .netReceive, .netInterVM, .netLatency] {
        for mode in [Record.Mode.fullVirtualization, .paravirtualization] {
          records.append(Self.record(experiment, mode, .e1000, samples) { $0.frameBytes = 1514 })
        }
      }
      let text = ReportTable(Self.report(records)).text
      for name in ["cpu", "disk-write", "disk-read", "disk-random-read", "net-send", "net-receive", "net-inter-vm"] {
        #expect(text.contains("\n  \(name) "), "\(name)")
      }
      #expect(text.contains("\n  net-latency"))
      #expect(!text.lowercased().contains("nan") && !text.lowercased().contains("inf "))
      #expect(text.contains("KVM kind: "))
    }
  }

  @Test("an unmeasured cell is a dash, a measured one a number")
  func cells() throws {
    let records = [
      Self.record(.diskRead, .host, .none) { $0.blockBytes = 4096 },
      Self.record(.diskRead, .paravirtualization, .virtioBlock) { $0.blockBytes = 4096 },
    ]
    let text = ReportTable(Self.report(records)).text
    let row = try #require(text.split(separator: "\n").first { $0.contains("disk-read") })
    let cells = row.split(separator: " ", omittingEmptySubsequences: true)
    // host, FV, PV, FV/PV, four counts, FV cost, PV cost.
    #expect(cells.suffix(12).joined(separator: " ") == "8.19±0 MB/s - 8.19±0 MB/s - - - - - - 375")
  }

  @Test("a row with QEMU's twin stands in a table of its own, with the ratio")
  func peer() throws {
    let half = Self.samples { $0.bytes /= 2 }
    var report = Self.report([
      Self.record(.diskRead, .host, .none) { $0.blockBytes = 4096 },
      Self.record(.diskRead, .paravirtualization, .virtioBlock) { $0.blockBytes = 4096 },
      Self.record(.diskRead, .paravirtualization, .virtioBlock, vmm: "qemu", half) { $0.blockBytes = 4096 },
    ])
    report.peer = "7.2"
    let lines = ReportTable(report).text.split(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("Beside QEMU 7.2") })
    #expect(!lines.contains { $0.hasPrefix("Disk") })
    let row = try #require(lines.first { $0.contains("virtio-blk disk-read 4 KiB") })
    let cells = row.split(separator: " ", omittingEmptySubsequences: true)
    // host, swiftlet, QEMU, swiftlet/QEMU, swiftlet/host, two counts, two costs.
    #expect(cells.suffix(12).joined(separator: " ") == "8.19±0 MB/s 8.19±0 MB/s 4.10±0 MB/s 2.00 1.00 - - 375 375")
    report = Self.report([])
    report.peerFailure = "ask qemu: it is not installed."
    #expect(ReportTable(report).text.contains("Beside QEMU: not measured. ask qemu: it is not installed."))
  }

  @Test("a network row with QEMU's twin: throughput beside the taps' own, latency with its ratio")
  func peerNetwork() throws {
    func record(_ experiment: Record.Experiment, _ vmm: String, _ samples: [MeasuredSample]) -> Record {
      Self.record(experiment, vmm == "none" ? .host : .paravirtualization, .virtioNet, vmm: vmm, samples) {
        ($0.frameBytes, $0.backend) = (1514, "tap")
      }
    }
    func echoes(_ p50: UInt64) -> [MeasuredSample] {
      Self.samples { $0.values = ["p50": p50, "p99": 2 * p50, "p999": 3 * p50] }
    }
    let (all, half) = (Self.samples(), Self.samples { $0.bytes /= 2 })
    var report = Self.report([
      record(.netSend, "none", all), record(.netSend, "swiftlet", all), record(.netSend, "qemu", half),
      record(.netLatency, "swiftlet", echoes(20_000)), record(.netLatency, "qemu", echoes(40_000)),
    ])
    report.peer = "7.2"
    report.peerNetworkFailure = "make taps: it needs CAP_SYS_ADMIN."
    let text = ReportTable(report).text
    let lines = text.split(separator: "\n")
    #expect(!lines.contains { $0.hasPrefix("Network (") || $0.hasPrefix("Network latency") })
    let row = try #require(lines.first { $0.contains("virtio-net net-send 1514 B") })
    let cells = row.split(separator: " ", omittingEmptySubsequences: true)
    #expect(cells.suffix(12).joined(separator: " ") == "8.19±0 MB/s 8.19±0 MB/s 4.10±0 MB/s 2.00 1.00 - - 375 375")
    let latency = try #require(lines.first { $0.contains("virtio-net net-latency 1514 B") })
    let numbers = latency.split(separator: " ", omittingEmptySubsequences: true)
    // p50 and p99 of both, their ratio, and two costs.
    #expect(numbers.suffix(7).joined(separator: " ") == "20.0 40.0 40.0 80.0 0.50 375 375")
    #expect(text.contains("\nNetwork beside QEMU: not measured. make taps: it needs CAP_SYS_ADMIN."))
  }

  @Test("without an acceleration: the part of the throughput that is left, and the exits")
  func ablation() throws {
    let half = Self.samples {
      $0.bytes /= 2
      $0.counters = .init()
      $0.kernelExits = 5000
    }
    let all = Self.record(.diskRead, .fullVirtualization, .ide) {
      $0.blockBytes = 4096
      $0.disabled = ["polling"]
    }
    let without = Self.record(.diskRead, .fullVirtualization, .ide, half) {
      $0.blockBytes = 4096
      $0.disabled = ["polling", "coalescing"]
    }
    let lines = ReportTable(Self.report([all, without])).text.split(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("Each acceleration off alone") })
    #expect(lines.contains { $0.split(separator: " ").suffix(4) == ["all", "on", "exits/kernel", "coalescing"] })
    let row = try #require(lines.last { $0.contains("ide disk-read 4 KiB") })
    #expect(row.hasSuffix("8.19±0 MB/s           -/-  0.50 (0/5.00)"), "\(row)")
  }

  @Test("several VMs: total against two, Jain's index, and the slowest VM's part of the mean")
  func scale() throws {
    func record(_ vms: Int, _ rates: [Double]) -> Record {
      let samples = Self.samples {
        $0.bytes = UInt64(rates.reduce(0, +) / 2)
        $0.rates = rates
      }
      return Self.record(.netScale, .paravirtualization, .virtioNet, samples) { $0.vms = vms }
    }
    let records = [record(2, [8_000_000]), record(4, [9_000_000, 3_000_000])]
    // (9 + 3)^2 / (2 * (81 + 9)) = 0.8; 3 / 6 = 0.5.
    #expect(try abs(#require(records[1].fairness).jain - 0.8) < 1e-9)
    #expect(records[1].fairness?.worstShare == 0.5)
    #expect(Record.Fairness(rates: [[], []]) == nil)
    #expect(Record.Fairness(rates: [[0, 0]]) == nil)
    let text = ReportTable(Self.report(records)).text
    let row = try #require(text.split(separator: "\n").first { $0.contains("net-scale 4 VMs") })
    let cells = row.split(separator: " ").suffix(9).joined(separator: " ")
    #expect(cells == "- 12.0±0 MB/s - 1.50 - 0.80 - 0.50", "\(row)")
  }

  @Test("an experiment without a section of its own is in the last one, with its own unit")
  func others() throws {
    let later = Record.Experiment(rawValue: "gpu-render")
    let records = [Self.record(later, .host, .none, unit: "pictures/s"), Self.record(.cpu, .host, .none)]
    let lines = ReportTable(Self.report(records)).text.split(separator: "\n")
    let title = try #require(lines.firstIndex { $0.hasPrefix("Other experiments") })
    #expect(
      lines[(title + 2)...].map { $0.split(separator: " ") } == [["gpu-render", "2000±0", "pictures/s", "-", "-", "-"]])
  }

  @Test("a row after HPCC has all four sides, and latencies have a table of their own")
  func hpcc() throws {
    func side(_ experiment: Record.Experiment, _ mode: Record.Mode, _ device: Record.Device) -> Record {
      let samples = Self.samples {
        $0.operations = 2_000_000_000
        if experiment == .hpccLatency { $0.values = ["p50": 1500, "p99": 2500, "p999": 3500] }
      }
      return Self.record(experiment, mode, device, unit: "flop/s", samples) {
        $0.ranks = 2
        if experiment == .hpccLatency { ($0.order, $0.messageBytes) = ("natural", 8) } else { $0.matrix = 512 }
      }
    }
    let records = [Record.Experiment.hpccLinpack, .hpccLatency].flatMap { experiment in
      [
        side(experiment, .host, .none), side(experiment, .guest, .cpu),
        side(experiment, .fullVirtualization, .e1000),
        side(experiment, .paravirtualization, .virtioNet),
      ]
    }
    let lines = ReportTable(Self.report(records)).text.split(separator: "\n").map {
      $0.split(separator: " ").joined(separator: " ")
    }
    let rate = "4.00±0 Gflop/s"
    #expect(lines.contains("hpcc-hpl n 512 2 ranks \(rate) \(rate) \(rate) \(rate) 1.00 1.00 1.00"))
    #expect(lines.contains("hpcc-latency natural 8 B 2 ranks 1.50 2.50 1.50 2.50 1.50 2.50 1.50 2.50"))
    #expect(Self.report(records).csv.contains(",2,,,,,512,flop/s,"))
  }

  @Test("a TSO row that an e1000 receives says that it comes in segments")
  func segments() {
    let received = Self.record(.netReceive, .fullVirtualization, .e1000) { $0.frameBytes = 64_294 }
    let sent = Self.record(.netSend, .fullVirtualization, .e1000) { $0.frameBytes = 64_294 }
    #expect(ReportTable(Self.report([received])).text.contains("net-receive TSO (FV in segments)"))
    #expect(!ReportTable(Self.report([sent])).text.contains("in segments"))
  }
}
