import EventLoop
import Machine
import TestSupport
import Testing

extension GuestTests {
  @Suite("guests of a loop that polls", .timeLimit(.minutes(10)))
  struct PollingGuestTests {
    @Test(
      "disks move verified data, by polling and by interrupts, one request at a time and many",
      arguments: ["irq", "poll"], [1, 32])
    func disks(interrupts: String, depth: Int) throws {
      let sample = try diskSample(
        .virtio, "operation=write block=4096 depth=\(depth) interrupts=\(interrupts)",
        pollLimit: EventLoop.usualPollLimit)
      #expect(sample.operations > 0)
      #expect(sample.counters?[.kvmRefusals] == 0)
    }

    @Test(
      "NICs move verified frames in both directions, and no frame is dropped", arguments: ["send", "receive", "echo"],
      [60, 1514])
    func nics(operation: String, frame: Int) throws {
      for model in [MachineConfiguration.NIC.Model.e1000, .virtio] {
        let (sample, _) = try networkSample(
          model, "operation=\(operation) frame=\(frame) batch=32 interrupts=irq", pollLimit: EventLoop.usualPollLimit)
        #expect(sample.operations > 0)
        #expect(sample.drops == [:])
      }
    }
  }
}
