import Counters
import Foundation
import KVM
import TestSupport
import Testing

@testable import Measurement

@Suite("compare on /dev/kvm", .serialized, .needsKVM, .timeLimit(.minutes(10)))
struct ComparisonTests {
  private static func options(_ group: ComparisonOptions.Group, directory: String) -> ComparisonOptions {
    var options = ComparisonOptions(isQuick: true, directory: directory)
    options.groups = [group]
    options.repetitions = 2
    options.duration = 50_000_000
    options.diskSpan = 2 << 20
    return options
  }

  /// Runs one group, and checks that it leaves nothing in its folder.
  private func records(_ group: ComparisonOptions.Group, ablates: Bool = false) throws -> [Record] {
    let folder = NSTemporaryDirectory() + "swiftlet-compare-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // The folder is empty even during the run, so a killed run leaves nothing either.
    var options = Self.options(group, directory: folder)
    options.ablates = ablates
    options.executable = BuiltProduct.swiftlet.path
    let records = try Comparison(options, system: System()) { _, _, _ in
      #expect(FileManager.default.subpaths(atPath: folder) == [])
    }.run()
    for record in records {
      let name = "\(record.experiment) \(record.mode) \(record.parameters)"
      #expect(record.operations > 0, "\(name)")
      if let throughput = record.throughput {
        #expect(throughput.samples.count == 2 && throughput.samples.allSatisfy { $0 > 0 && $0.isFinite }, "\(name)")
        #expect(throughput.ci95?.isFinite == true, "\(name)")
      } else if let size = record.size {
        #expect(size.mean > 0, "\(name)")
      } else {
        let latency = try #require(record.latency, "\(name)")
        #expect(latency.p50 > 0, "\(name)")
        #expect((latency.p999 == nil) == (record.experiment == .start), "\(name)")
        #expect(latency.p999 ?? .infinity >= latency.p50, "\(name)")
      }
      #expect(record.drops == [:], "\(name)")
      let isProcess = record.experiment == .start || record.experiment == .memory
      #expect((record.perOperation.exits == nil) == (record.mode == .host || isProcess), "\(name)")
      #expect(record.vmm == (record.mode == .host ? "none" : "swiftlet"))
    }
    // No cell is missing in either format.
    let report = Report(swiftlet: "", host: HostDescription(), commandLine: "", results: records)
    #expect(!ReportTable(report).text.lowercased().contains("nan"))
    #expect(try report.json().count > 0)
    return records
  }

  /// Checks that FV and PV come in pairs that differ only in the device.
  private func checkPairs(_ records: [Record]) {
    let full = records.filter { $0.mode == .fullVirtualization }
    let para = records.filter { $0.mode == .paravirtualization }
    #expect(full.map(\.parameters) == para.map(\.parameters))
    #expect(full.map(\.experiment) == para.map(\.experiment))
    #expect(full.map { $0.throughput?.unit } == para.map { $0.throughput?.unit })
  }

  /// Checks the rows of the gap analysis: three costs, and each device without and with `count` exits added.
  private func checkExits(_ records: [Record], adding count: Int) throws {
    let costs = records.filter { $0.experiment == .exitCost }
    #expect(costs.map { $0.parameters.access } == ["exit", "kick", "coalesced"])
    #expect(costs[0].perOperation.exits.map { abs($0 - 1) < 0.05 } == true)
    #expect(costs[1].perOperation.exits.map { $0 < 0.05 } == true)
    let models = records.filter { $0.experiment == .exitModel }
    #expect(models.map { $0.parameters.extraExits } == [0, count, 0, count])
    let model = try #require(ExitModel(records))
    let pairs = records.filter { $0.mode == .fullVirtualization && $0.experiment != .exitModel }
    #expect(model.gaps(records).map(\.experiment) == pairs.map(\.experiment))
    #expect(model.checks(records).count == 2)
    for check in model.checks(records) {
      // A device's own exits vary a little: an e1000's by its batches.
      #expect(abs(check.addedExits - Double(count)) < 0.5, "\(check)")
    }
  }

  @Test("cpu: the host and the guest, with one thread and with two")
  func cpu() throws {
    let records = try records(.cpu)
    let counts = ProcessInfo.processInfo.activeProcessorCount > 1 ? [1, 1, 2, 2] : [1, 1]
    #expect(records.map { $0.parameters.vCPUs } == counts)
    #expect(records.allSatisfy { $0.experiment == .cpu })
    #expect(Set(records.map(\.mode)) == [.host, .guest])
  }

  @Test("the guest and the host compute the same result")
  func checksum() throws {
    let host = try HostCPU(threads: 1, rounds: 30)
    _ = try host.sample()
    let run = try GuestRun("program=cpu rounds=30")
    #expect(run.exitValue == 0)
    #expect(run.event("sample")?["checksum"] == "\(host.checksum)")
    #expect(run.event("sample")?["operations"] == "30")
  }

  @Test("ablation: each device with all accelerations and with each off alone; the counts show which one is missing")
  func ablation() throws {
    let records = try records(.disk, ablates: true)
    func names(_ device: Record.Device) -> [String] {
      records.filter { $0.device == device && $0.experiment == .diskRead }.map {
        ($0.parameters.disabled ?? []).joined(separator: " ")
      }
    }
    #expect(names(.ide) == ["polling", "polling ioeventfd", "polling irqfd", "polling coalescing"])
    #expect(
      names(.virtioBlock) == ["polling", "polling ioeventfd", "polling irqfd", "polling msi-x", "polling event-idx"])
    func exits(_ device: Record.Device, without name: String?) -> Double {
      records.first {
        $0.device == device && $0.experiment == .diskRead
          && $0.parameters.disabled == ["polling"] + [name].compactMap { $0 }
      }?.perOperation.exits ?? .nan
    }
    #expect(exits(.ide, without: nil) < 4.5)
    #expect(exits(.ide, without: "coalescing") > 10)
    #expect(exits(.virtioBlock, without: nil) < 0.1)
    #expect(exits(.virtioBlock, without: "ioeventfd") > 0.9)
    let text = ReportTable(Report(swiftlet: "", host: HostDescription(), commandLine: "", results: records)).text
    #expect(text.contains("Each acceleration off alone"))
    #expect(!text.contains("\nDisk"))
  }

  @Test("process: the start of a guest, and the memory of its VMM")
  func process() throws {
    let records = try records(.process)
    #expect(records.map(\.experiment) == [.start, .memory])
    let text = ReportTable(Report(swiftlet: "", host: HostDescription(), commandLine: "", results: records)).text
    #expect(text.contains("to the guest's first byte: swiftlet "))
    #expect(text.contains("Memory beyond the guest's RAM"))
  }

  @Test("hpcc: each program with 1, 2 and 4 ranks, on the host, in one VM, and in several over both NICs")
  func hpcc() throws {
    let records = try records(.hpcc)
    checkPairs(records)
    for mode in [Record.Mode.host, .guest, .fullVirtualization, .paravirtualization] {
      let hasSeveral = [.fullVirtualization, .paravirtualization].contains(mode)
      for experiment in [Record.Experiment.hpccStream, .hpccTranspose, .hpccLinpack] {
        let rows = records.filter { $0.mode == mode && $0.experiment == experiment }
        #expect(Set(rows.map { $0.parameters.ranks }) == (hasSeveral ? [2, 4] : [1, 2, 4]))
      }
      for experiment in [Record.Experiment.hpccLatency, .hpccBandwidth] {
        let rows = records.filter { $0.mode == mode && $0.experiment == experiment }
        #expect(rows.map { $0.parameters.order } == ["ping-pong", "natural", "natural", "random"])
      }
    }
    #expect(records.filter { $0.experiment == .hpccLinpack }.allSatisfy { $0.throughput?.unit == "flop/s" })
  }

  @Test("disk: write and read at three sizes, random reads at two depths, each on host, IDE and virtio-blk")
  func disk() throws {
    let records = try records(.disk)
    checkPairs(records)
    for mode in [Record.Mode.host, .fullVirtualization, .paravirtualization] {
      let rows = records.filter { $0.mode == mode }
      for experiment in [Record.Experiment.diskWrite, .diskRead] {
        let sizes = rows.filter { $0.experiment == experiment }.map { $0.parameters.blockBytes }
        #expect(sizes == [4096, 65_536, 1_048_576])
      }
      let depths = rows.filter { $0.experiment == .diskRandomRead }.map { $0.parameters.queueDepth }
      #expect(depths == [1, 32])
    }
    #expect(records.count == 24 + 7)
    try checkExits(records, adding: 4)
    #expect(records.filter { $0.mode == .fullVirtualization }.allSatisfy { $0.device == .ide })
    #expect(records.filter { $0.mode == .paravirtualization }.allSatisfy { $0.device == .virtioBlock })
  }

  @Test("net: each way and between two VMs at three sizes, echo, up to eight VMs, and the host's loopback")
  func net() throws {
    let records = try records(.net)
    checkPairs(records)
    for mode in [Record.Mode.fullVirtualization, .paravirtualization] {
      for experiment in [Record.Experiment.netSend, .netReceive, .netInterVM] {
        let rows = records.filter { $0.mode == mode && $0.experiment == experiment }
        #expect(rows.map { $0.parameters.frameBytes } == [60, 1514, 64_294])
        #expect(rows.allSatisfy { $0.parameters.vms == (experiment == .netInterVM ? 2 : 1) })
      }
      #expect(records.filter { $0.mode == mode && $0.experiment == .netLatency }.count == 1)
    }
    #expect(records.filter { $0.experiment == .loopback }.map { $0.parameters.frameBytes } == [60, 1514, 64_294])
    let scaled = records.filter { $0.experiment == .netScale }
    #expect(scaled.map { $0.parameters.vms } == [2, 2, 4, 4, 8, 8])
    for record in scaled {
      let fairness = try #require(record.fairness)
      #expect(
        fairness.jain > 0 && fairness.jain <= 1.000001 && fairness.worstShare > 0 && fairness.worstShare <= 1.000001)
      #expect(record.parameters.vms != 2 || fairness.worstShare == 1)
    }
    #expect(records.filter { $0.experiment != .netScale }.allSatisfy { $0.fairness == nil })
    #expect(records.count == 23 + 7 + 6 + 1)
    let copies = records.filter { $0.experiment == .memcpy }
    #expect(copies.map { $0.parameters.frameBytes } == [64_294])
    try checkExits(records, adding: 1)
  }
}
