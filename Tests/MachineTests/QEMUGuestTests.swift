import Measurement
import TestSupport
import Testing

extension GuestTests {
  /// Runs the programs that drive this VMM's models on QEMU's. A driver that works only with our model fails here, and
  /// so does a model that reports less than QEMU's. Both runs must print the same events and fields and verify the same
  /// data; speed is not compared.
  @Suite("The same guests under QEMU", .needsQEMU, .timeLimit(.minutes(10)))
  struct QEMUGuestTests {
    /// Checks that both printed the same events and fields, and succeeded.
    private func expectSame(
      _ peer: QEMUGuest, _ own: GuestRun, sourceLocation: SourceLocation = #_sourceLocation
    ) {
      #expect(peer.status == 1, "\(peer.lines) \(peer.messages)", sourceLocation: sourceLocation)
      #expect(own.exitValue == 0, "\(own.lines)", sourceLocation: sourceLocation)
      #expect(!peer.shape.isEmpty && peer.shape == own.shape, sourceLocation: sourceLocation)
    }

    @Test("hello prints the same line, and vCPUs start by INIT and start-up messages", arguments: [1, 2, 4])
    func hello(processors: Int) throws {
      let line = "program=hello name=world cpus=\(processors)"
      let peer = try QEMUGuest(line, arguments: ["-smp", "\(processors)"])
      let own = try GuestRun(line) { configuration, _ in configuration.vCPUs = processors }
      expectSame(peer, own)
      #expect(peer.lines == own.lines)
    }

    @Test("a wrong command line has status 5, an exception 7, with the same vector, error code and address")
    func ends() throws {
      #expect(try QEMUGuest("program=nothing").status == 5)
      let peer = try QEMUGuest("program=crash how=page-fault")
      #expect(peer.status == 7)
      #expect(peer.lines == (try GuestRun("program=crash how=page-fault").lines))
    }

    @Test("a guest that hangs is killed with QEMU, and its output until then is kept")
    func hang() throws {
      let peer = try QEMUGuest("program=crash how=silence", seconds: 2)
      #expect(peer.status == nil)
      #expect(peer.lines == [])
    }

    @Test("the CPU work has the same result under QEMU, on this VMM and on the host")
    func checksum() throws {
      let host = try HostCPU(threads: 1, rounds: 20)
      let line = "program=cpu rounds=20 samples=2"
      let peer = try QEMUGuest(line)
      let own = try GuestRun(line)
      expectSame(peer, own)
      let checksum = try "\(host.sample().values["checksum"] ?? 0)"
      #expect(peer.event("sample")?["checksum"] == checksum)
      #expect(own.event("sample")?["checksum"] == checksum)
    }

    @Test("two vCPUs drive one device each, then share one under a lock, while a third runs")
    func rounds() throws {
      let folder = try TemporaryFolder()
      let line = "program=smp rounds=50"
      let peer = try QEMUGuest(
        line,
        arguments: ["-smp", "3"]
          + QEMUGuest.ideDisk(folder.makeDiskImage("ide", megabytes: 8), index: 0)
          + QEMUGuest.virtioDisk(folder.makeDiskImage("virtio", megabytes: 8)))
      let own = try GuestRun(line) { configuration, _ in
        configuration.vCPUs = 3
        try configuration.addMemoryDisk(.ide, megabytes: 8)
        try configuration.addMemoryDisk(.virtio, megabytes: 8)
      }
      expectSame(peer, own)
      #expect(peer.event("smp")?["turns"] == "100")
      #expect(peer.lines == own.lines)
    }
  }
}
