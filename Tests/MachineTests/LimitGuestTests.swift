import Backends
import Boot
import Counters
import EventLoop
import GuestImages
import KVM
import Machine
import Measurement
import TestSupport
import Testing

extension GuestTests {
  /// The bounds have the burst of a tenth of a second, and what may be under way.
  @Suite("limits of disks and NICs of a running guest", .timeLimit(.minutes(10)))
  struct LimitGuestTests {
    private func allowed(_ rate: UInt64, _ sample: MeasuredSample) -> UInt64 {
      rate * (sample.nanoseconds + TokenBucket.burst) / 1_000_000_000
    }

    @Test("no more requests a second than iops=, and no more bytes than bandwidth=", arguments: ["ide", "virtio-blk"])
    func disk(device: String) throws {
      let loop = try EventLoop(name: "io")
      loop.start()
      defer { loop.stop() }
      for (operations, bytes) in [(200, nil), (nil, 1_000_000)] as [(UInt64?, UInt64?)] {
        var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
        configuration.commandLine =
          "program=disk wait=1 samples=3 device=\(device) operation=read block=4096 depth=8 duration-ms=50 span=65536"
        configuration.memorySize = 64 << 20
        try configuration.addMemoryDisk(device == "ide" ? .ide : .virtio)
        configuration.disks[0].storage = LimitedStorage(
          configuration.disks[0].storage, operations: operations, bytes: bytes, loop: loop)
        let session = try MachineSession(configuration, system: System(), loop: loop)
        defer { session.close() }
        for _ in 0..<3 {
          let sample = try session.sample()
          #expect(sample.operations > 0)
          if let operations { #expect(sample.operations <= allowed(operations, sample) + 8) }
          if let bytes { #expect(sample.bytes <= allowed(bytes, sample) + 8 * 4096) }
        }
      }
    }

    @Test(
      "no more bytes a second than bandwidth= in either direction, and no frame is lost",
      arguments: [MachineConfiguration.NIC.Model.e1000, .virtio], ["send", "receive"])
    func network(model: MachineConfiguration.NIC.Model, operation: String) throws {
      let rate: UInt64 = 5_000_000
      let (sample, _) = try networkSample(model, "operation=\(operation) frame=1514", limit: rate)
      // The session fails if a frame is missing or wrong.
      #expect(sample.operations > 0)
      #expect(sample.bytes <= allowed(rate, sample) + 1514)
      #expect(sample.drops == [:])
    }
  }
}
