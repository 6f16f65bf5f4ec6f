import Foundation
import KVM
import TestSupport
import Testing

@testable import Measurement

@Suite("compare --profile", .serialized, .timeLimit(.minutes(10)))
struct ProfileTests {
  private func records(_ group: ComparisonOptions.Group) throws -> [Record] {
    var options = ComparisonOptions(isQuick: true, directory: NSTemporaryDirectory())
    options.groups = [group]
    options.repetitions = 1
    options.duration = 20_000_000
    options.diskSpan = 2 << 20
    options.profile = .year2009
    return try Comparison(options, system: System()) { _, _, _ in }.run()
  }

  @Test("2009, disk: no kick, no held write; virtio-blk exits for each request", .needsKVM)
  func disk() throws {
    let records = try records(.disk).filter { $0.mode == .fullVirtualization || $0.mode == .paravirtualization }
    #expect(records.count == 16)
    for record in records {
      #expect(record.parameters.profile == "2009")
      #expect(
        record.parameters.disabled == ["polling", "ioeventfd", "irqfd", "coalescing", "msi-x", "event-idx"])
      #expect(record.parameters.interrupts == (System.kind == .pvm ? "poll" : "irq"))
      #expect(record.perOperation.coalesced == 0)
      let exits = try #require(record.perOperation.exits)
      // IDE: five registers, PRD pointer, command, start, status twice, stop and clear.
      if record.device == .ide { #expect(exits >= 11) }
      if record.device == .virtioBlock, record.parameters.queueDepth == 1 { #expect(exits >= 0.9) }
    }
  }

  @Test("2009, net: a virtio kick exits; the report names the profile, and no row is taken for an ablation", .needsKVM)
  func network() throws {
    let records = try records(.net)
    let rows = records.filter { $0.mode == .fullVirtualization || $0.mode == .paravirtualization }
    #expect(
      rows.allSatisfy {
        $0.parameters.disabled == ["polling", "ioeventfd", "irqfd", "msi-x", "event-idx", "tail-pages", "moderation"]
      })
    let echo = try #require(rows.first { $0.experiment == .netLatency && $0.device == .virtioNet })
    #expect(try #require(echo.perOperation.exits) >= 0.9)
    if System.kind == .pvm, ProcessInfo.processInfo.activeProcessorCount == 2 {
      #expect(!rows.contains { $0.experiment == .netInterVM }, "three threads would poll on two processors")
    }
    let text = ReportTable(Report(swiftlet: "", host: HostDescription(), commandLine: "", results: records)).text
    #expect(text.contains("\nProfile 2009: "))
    #expect(text.contains("\nNetwork (raw frames"))
  }

  @Test("the reason for polling is given where guests poll, and only there")
  func sentence() {
    #expect(Profile.year2009.interrupts(on: .pvm) == "poll")
    #expect(Profile.year2009.interrupts(on: .vmx) == "irq")
    #expect(Profile.year2009.sentence(interrupts: "poll").contains("70 ms"))
    #expect(!Profile.year2009.sentence(interrupts: "irq").contains("poll"))
  }
}
