import Machine
import Measurement
import TestSupport
import Testing

extension GuestTests {
  @Suite("An operation costs no more than Thresholds.swift allows", .timeLimit(.minutes(10)))
  struct ThresholdTests {
    private func check(_ sample: MeasuredSample, _ threshold: Threshold) throws {
      let counters = try #require(sample.counters)
      // The flush at the end of a write is a command too. It counts if a busy host leaves time for few others.
      let operations = Double(sample.operations + counters[.diskFlushes])
      #expect(operations > 10)
      #expect(Double(counters.exits) / operations <= threshold.exits)
      #expect(Double(counters[.interrupts]) / operations <= threshold.interrupts)
      #expect(Double(counters[.bytesCopied]) / operations <= threshold.bytesCopied)
      #expect(counters[.bounces] == 0)
      #expect(sample.drops == [:])
    }

    @Test("disks: exits, interrupts and copies", arguments: Threshold.disks)
    func disk(threshold: Threshold) throws {
      try check(diskSample(threshold.device == .ide ? .ide : .virtio, threshold.workload), threshold)
    }

    @Test("NICs: exits, interrupts and copies", arguments: Threshold.networks)
    func network(threshold: Threshold) throws {
      let model: MachineConfiguration.NIC.Model = threshold.device == .e1000 ? .e1000 : .virtio
      try check(networkSample(model, threshold.workload).sample, threshold)
    }
  }
}
