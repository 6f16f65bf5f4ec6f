import Counters
import Foundation
import Testing

@testable import Measurement

@Suite("The model of exits: costs, gaps and its check")
struct ExitModelTests {
  /// One second with these operations and counts for each of them; `shift` makes two samples differ.
  private static func samples(
    _ operations: UInt64, exits: UInt64 = 0, coalesced: UInt64 = 0, kernel: UInt64? = 0, vCPU: Double = 1,
    io: Double = 0, shift: UInt64 = 0
  ) -> [MeasuredSample] {
    [operations - shift, operations + shift].map { operations in
      var sample = MeasuredSample()
      sample.operations = operations
      sample.bytes = operations * 4096
      sample.nanoseconds = 1_000_000_000
      sample.vCPUSeconds = vCPU
      sample.ioSeconds = io
      let counters = Counters(owner: "test")
      counters.add(.exitsMMIO, Int(exits * operations))
      counters.add(.coalescedWrites, Int(coalesced * operations))
      sample.counters = CounterSnapshot(summing: [counters])
      sample.kernelExits = kernel.map { $0 * operations }
      return sample
    }
  }

  private static func record(
    _ experiment: Record.Experiment, _ mode: Record.Mode, _ device: Record.Device, _ samples: [MeasuredSample],
    _ change: (inout Record.Parameters) -> Void = { _ in }
  ) -> Record {
    var parameters = Record.Parameters()
    change(&parameters)
    let side = Point.Side(mode: mode, device: device, vmm: "swiftlet", parameters: parameters) {
      HostLoopback(frameBytes: 60, duration: 1)
    }
    let unit = experiment == .diskRead ? "bytes/s" : "operations/s"
    let point = Point(
      experiment: experiment, parameters: Record.Parameters(), unit: unit, sides: [side], title: "")
    return Record(point, side: side, outcome: SideOutcome(samples: samples))
  }

  /// An exit costs 50 us, a kick 5 us, and a coalesced write 4 us.
  private static let costs = [("exit", 20_000), ("kick", 200_000), ("coalesced", 250_000)].map { name, rate in
    record(.exitCost, .guest, .e1000, samples(UInt64(rate))) { $0.access = name }
  }

  @Test("a cost is the time of an operation, and a missing one makes no model")
  func costs() throws {
    let model = try #require(ExitModel(Self.costs))
    #expect((model.exit.mean, model.kick.mean, model.coalesced.mean) == (50_000, 5000, 4000))
    #expect(model.exit.ci95 == 0)
    // 9000 and 11 000 in a second: 10 000 ± 12 706 by t(1), and so 100 us ± 127 %.
    let wide = ExitModel.Cost(Self.record(.exitCost, .guest, .e1000, Self.samples(10_000, shift: 1000)).throughput)
    #expect(wide?.mean == 100_000)
    #expect(try abs(#require(wide?.ci95) - 127_060) < 1)
    for index in Self.costs.indices {
      var costs = Self.costs
      costs.remove(at: index)
      #expect(ExitModel(costs) == nil)
    }
  }

  @Test("the exits of a full ring are not part of a coalesced write's cost")
  func fullRing() throws {
    var costs = Self.costs
    costs[2].perOperation.exits = 0.01
    // 4 us, of which a hundredth of 50 us.
    #expect(try abs(#require(ExitModel(costs)).coalesced.mean - 3500) < 1e-9)
  }

  @Test("exits, kicks and held writes explain a part of the gap; the projection makes each cost at most 1 us")
  func gap() throws {
    // FV: 500 us, with 4 exits, 7 held writes and 16 - 11 = 5 others. PV: 100 us with 5 others.
    let records = [
      Self.record(.diskRead, .fullVirtualization, .ide, Self.samples(2000, exits: 4, coalesced: 7, kernel: 16)) {
        $0.blockBytes = 4096
      },
      Self.record(.diskRead, .paravirtualization, .virtioBlock, Self.samples(10_000, kernel: 5)) {
        $0.blockBytes = 4096
      },
    ]
    let model = try #require(ExitModel(Self.costs))
    let gap = try #require(model.gaps(records).first)
    #expect(abs(gap.full - 500_000) < 1e-6 && abs(gap.para - 100_000) < 1e-6)
    #expect(abs(gap.explained - (4 * 50_000 + 7 * 4000)) < 1e-6)
    #expect(abs(gap.left - 172_000) < 1e-6)
    // FV without 4 * 49 + 7 * 3 + 5 * 4 us, PV without 5 * 4 us.
    #expect(abs(try #require(gap.projectedRatio) - 80.0 / 263.0) < 1e-9)
    #expect(!gap.isUpperBound)
  }

  @Test("a row with an unknown count has no gap, and a row without a twin neither")
  func unknown() throws {
    let model = try #require(ExitModel(Self.costs))
    let full = Self.record(.netSend, .fullVirtualization, .e1000, Self.samples(2000, exits: 1, kernel: nil))
    let para = Self.record(.netSend, .paravirtualization, .virtioNet, Self.samples(4000))
    #expect(model.gaps([full, para]).isEmpty)
    #expect(model.gaps([para]).isEmpty)
    let known = Self.record(.netSend, .fullVirtualization, .e1000, Self.samples(2000, exits: 1, kernel: 1))
    #expect(model.gaps([known]).isEmpty)
    #expect(model.gaps([known, para]).count == 1)
  }

  @Test("the gap is an upper bound where the loop or another VM works beside the vCPU, and where a guest polls")
  func bound() throws {
    let model = try #require(ExitModel(Self.costs))
    func isBound(
      _ device: Record.Device, vCPU: Double, io: Double = 0.5,
      _ change: @escaping (inout Record.Parameters) -> Void = { _ in }
    ) throws -> Bool {
      let pair = [(Record.Mode.fullVirtualization, device), (.paravirtualization, .virtioNet)].map { mode, device in
        Self.record(.netSend, mode, device, Self.samples(2000, exits: 1, kernel: 1, vCPU: vCPU, io: io), change)
      }
      return try #require(model.gaps(pair).first).isUpperBound
    }
    #expect(try !isBound(.e1000, vCPU: 0.95))
    #expect(try isBound(.e1000, vCPU: 0.5))
    #expect(try isBound(.e1000, vCPU: 1.9) { $0.vms = 2 })
    #expect(try isBound(.e1000, vCPU: 0.95, io: 0.95))
    #expect(try !isBound(.e1000, vCPU: 0.5) { $0.queueDepth = 1 })
    #expect(
      try isBound(.ide, vCPU: 1) {
        $0.queueDepth = 1
        $0.interrupts = "poll"
      })
    // An IDE disk has one request in flight, but a virtio-blk has 32.
    #expect(try isBound(.ide, vCPU: 0.5) { $0.queueDepth = 32 })
    #expect(try !isBound(.ide, vCPU: 0.95) { $0.queueDepth = 32 })
  }

  @Test("without exits that cost more than the operation takes, there is no projection")
  func impossible() throws {
    let model = try #require(ExitModel(Self.costs))
    let full = Self.record(.netSend, .fullVirtualization, .e1000, Self.samples(100_000, exits: 1, kernel: 1))
    let para = Self.record(.netSend, .paravirtualization, .virtioNet, Self.samples(200_000))
    #expect(try #require(model.gaps([full, para]).first).projectedRatio == nil)
  }

  /// A device whose operation takes 100 us, and `after` us with four exits more.
  private func check(after: Double, shift: UInt64) throws -> ExitModel.Check {
    let model = try #require(ExitModel(Self.costs))
    let records = [0, 4].map { extra in
      Self.record(
        .exitModel, .fullVirtualization, .ide,
        Self.samples(
          extra == 0 ? 10_000 : UInt64(1e6 / after), exits: 3 + UInt64(extra), kernel: 3 + UInt64(extra), shift: shift)
      ) {
        $0.queueDepth = 1
        $0.extraExits = extra
      }
    }
    return try #require(model.checks(records).first)
  }

  @Test("the check compares the predicted with the measured change, within the interval of both")
  func check() throws {
    let right = try check(after: 300, shift: 10)
    #expect(right.addedExits == 4)
    #expect(right.predicted == 200_000)
    #expect(abs(right.measured - 200_000) < 1000)
    #expect(right.isWithinInterval == true)
    let wrong = try check(after: 400, shift: 1)
    #expect(abs(wrong.measured - 300_000) < 1000)
    #expect(wrong.isWithinInterval == false)
  }

  @Test("the table and the JSON have the costs, the gap and the check, and nothing of it without the costs")
  func report() throws {
    let pair = [(Record.Mode.fullVirtualization, Record.Device.ide), (.paravirtualization, .virtioBlock)].map {
      Self.record(
        .diskRead, $0, $1,
        $0 == .fullVirtualization ? Self.samples(2000, exits: 4, coalesced: 7, kernel: 16) : Self.samples(10_000)
      ) {
        $0.blockBytes = 4096
        $0.queueDepth = 1
      }
    }
    let models = [0, 4].map { extra in
      Self.record(
        .exitModel, .fullVirtualization, .ide,
        Self.samples(extra == 0 ? 10_000 : 3333, exits: UInt64(extra), kernel: UInt64(extra))
      ) {
        $0.blockBytes = 4096
        $0.extraExits = extra
      }
    }
    func report(_ records: [Record]) -> Report {
      Report(swiftlet: "", host: HostDescription(), commandLine: "", results: records)
    }
    let text = ReportTable(report(Self.costs + pair + models)).text
    #expect(text.contains("an exit to user space costs 50.0±0 us, a kick 5.00±0, and a coalesced write 4.00±0."))
    #expect(text.contains("Projected: FV/PV where an exit costs 1 us, by a model"))
    let rows = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    // FV, PV, gap, by exits, left, FV/PV, projected.
    #expect(rows.contains { $0.suffix(7) == ["500", "100", "400", "253", "147", "0.20", "0.38"] }, "\(text)")
    // Exits added, predicted, measured, within: equal samples have an interval of 0, and 3333 is not 10 000 / 3.
    #expect(rows.contains { $0.first == "ide" && $0.suffix(4) == ["4.00", "200", "200±0", "no"] }, "\(text)")
    let object = try #require(
      try JSONSerialization.jsonObject(with: report(Self.costs + pair + models).json()) as? [String: Any])
    let analysis = try #require(object["exitAnalysis"] as? [String: Any])
    #expect(Set(analysis.keys) == ["exit", "kick", "coalesced", "gaps", "checks"])
    let gap = try #require((analysis["gaps"] as? [[String: Any]])?.first)
    #expect(gap["gapNanoseconds"] as? Double == 400_000)
    #expect(!ReportTable(report(pair)).text.contains("Gap between"))
  }
}
