import Backends
import EventLoop
import Machine
import Measurement
import TestSupport
import Testing

extension GuestTests {
  @Suite("The same network guests under QEMU", .needsQEMU, .timeLimit(.minutes(10)))
  struct QEMUNetworkTests {
    private func line(_ device: String, _ parameters: String, milliseconds: Int) -> String {
      "program=net device=\(device) \(parameters) peer=\(StreamEndpoint.address) samples=3 "
        + "duration-ms=\(milliseconds)"
    }

    /// Runs the guest under QEMU with the measuring end-point.
    ///
    /// QEMU raises the e1000's INTA# by ioctl, and the software KVM then takes 50 to 90 ms to wake a halted vCPU: a
    /// sample by interrupts needs time for several of those.
    private func runPeer(_ device: String, _ parameters: String) throws -> (
      run: QEMUGuest, tally: DatagramBackend.Tally, drops: UInt64
    ) {
      let folder = try TemporaryFolder()
      let loop = try EventLoop(name: "io")
      loop.start()
      defer { loop.stop() }
      let backend = try DatagramBackend(local: folder.file("host"), remote: folder.file("guest"), loop: loop)
      let endpoint = StreamEndpoint(backend: backend, loop: loop)
      defer { backend.connect(nil) }
      let run = try withExtendedLifetime(endpoint) {
        try QEMUGuest(
          line(device, parameters, milliseconds: device == "e1000" ? 300 : 60),
          arguments: QEMUGuest.nic(device, local: folder.file("guest"), remote: folder.file("host")))
      }
      let counters = backend.counters
      return (
        run, backend.tally,
        counters[.dropsTap] + counters[.dropsPortQueueFull] + counters[.dropsNoReceiveBuffer]
          + counters[.dropsMalformed]
      )
    }

    /// Runs the guest on this VMM with the measuring end-point.
    private func runOwn(_ device: String, _ parameters: String) throws -> GuestRun {
      var kept: [AnyObject] = []
      let run = try GuestRun(line(device, parameters, milliseconds: 40)) { configuration, loop in
        let network = NetworkSwitch(loop: loop)
        let port = network.makePort(name: "vm")
        kept = [network, StreamEndpoint(backend: network.makePort(name: "endpoint"), loop: loop)]
        configuration.nics = [
          .init(backend: port, model: device == "e1000" ? .e1000 : .virtio, macAddress: [2, 0, 0, 0, 0, 0x10])
        ]
      }
      return withExtendedLifetime(kept) { run }
    }

    /// Runs three samples under QEMU and on this VMM. The end-point and the guest check every byte and the order.
    ///
    /// QEMU's e1000 holds received frames back for a second after RCTL was written, so its first sample may be empty.
    @discardableResult
    private func compare(
      _ device: String, _ parameters: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> DatagramBackend.Tally {
      let (peer, tally, drops) = try runPeer(device, parameters)
      let own = try runOwn(device, parameters)
      #expect(
        peer.status == 1, "\(device) \(parameters): \(peer.lines) \(peer.messages)", sourceLocation: sourceLocation)
      #expect(own.exitValue == 0, "\(device) \(parameters): \(own.lines)", sourceLocation: sourceLocation)
      #expect(peer.shape.count == 3 && peer.shape == own.shape, sourceLocation: sourceLocation)
      for lines in [peer.lines, own.lines] {
        #expect(
          lines.contains { !$0.contains(#""operations":0,"#) }, "\(device) \(parameters): \(lines)",
          sourceLocation: sourceLocation)
      }
      #expect(drops == 0, sourceLocation: sourceLocation)
      return tally
    }

    @Test(
      "e1000 and virtio-net send, receive and echo, by interrupts and by polling",
      arguments: ["e1000", "virtio-net"], ["irq", "poll"])
    func operations(device: String, interrupts: String) throws {
      for frame in [60, 1514] {
        try compare(device, "operation=send frame=\(frame) interrupts=\(interrupts)")
        try compare(device, "operation=receive frame=\(frame) interrupts=\(interrupts)")
      }
      try compare(device, "operation=echo interrupts=\(interrupts)")
    }

    @Test("the e1000 with the accesses of Linux's driver", arguments: ["send", "receive", "echo"])
    func linux(operation: String) throws {
      try compare("e1000", "operation=\(operation) frame=1514 style=linux")
    }

    // SDM 3.5: a send of PAYLEN bytes is PAYLEN / MSS frames, rounded up. QEMU 7.2 adds one without payload if the
    // division is exact, as with the 64 294 bytes of the measurements (44 segments).
    @Test("the e1000 splits 64 KiB into segments with correct checksums", arguments: [64_000, 64_294])
    func segmentation(frame: Int) throws {
      let tally = try compare("e1000", "operation=send frame=\(frame)")
      #expect(tally.tcpFrames > 44 && tally.rightChecksums == tally.tcpFrames)
      #expect(tally.longest == 1514)
      if frame == 64_000 {
        #expect(tally.emptySegments == 0)
      } else {
        #expect(tally.emptySegments <= tally.tcpFrames / 45)
      }
    }

    @Test(
      "large frames arrive as segments of 1460 bytes without offloads", arguments: ["e1000", "virtio-net"])
    func largeReceive(device: String) throws {
      try compare(device, "operation=receive frame=64294")
    }

    // QEMU offers TSO only if its backend accepts virtio's header, and a datagram socket does not (VIRTIO 1.2, 5.1.3.1
    // leaves it to the device).
    @Test("without TSO, virtio-net's driver does not send large frames, and ends with status 5")
    func noSegmentation() throws {
      let (peer, tally, _) = try runPeer("virtio-net", "operation=send frame=64294")
      #expect(peer.status == 5)
      #expect(peer.event("failed")?["why"] == "the device offers no TSO")
      #expect(tally.longest == 60)
    }
  }
}
