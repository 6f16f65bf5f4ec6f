import Machine
import TestSupport
import Testing
import Workload

extension GuestTests {
  @Suite("The same disk guests under QEMU", .needsQEMU, .timeLimit(.minutes(10)))
  struct QEMUDiskTests {
    private static let megabytes = 8

    /// Runs samples under QEMU and on this VMM with `disks` disks. Returns the first sectors of each disk under QEMU.
    @discardableResult
    private func compare(
      _ device: String, _ parameters: String, disks: Int = 1, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> [[UInt8]] {
      let line = "program=disk device=\(device) \(parameters) samples=2 duration-ms=20"
      let folder = try TemporaryFolder()
      var arguments: [String] = []
      for index in 0..<disks {
        let path = try folder.makeDiskImage("disk\(index)", megabytes: Self.megabytes)
        arguments += device == "ide" ? QEMUGuest.ideDisk(path, index: index) : QEMUGuest.virtioDisk(path)
      }
      let peer = try QEMUGuest(line, arguments: arguments)
      let own = try GuestRun(line) { configuration, _ in
        for _ in 0..<disks {
          try configuration.addMemoryDisk(device == "ide" ? .ide : .virtio, megabytes: UInt64(Self.megabytes))
        }
      }
      #expect(peer.status == 1, "\(line): \(peer.lines) \(peer.messages)", sourceLocation: sourceLocation)
      #expect(own.exitValue == 0, "\(line): \(own.lines)", sourceLocation: sourceLocation)
      #expect(peer.shape.count == 2 && peer.shape == own.shape, sourceLocation: sourceLocation)
      for report in [peer.events, own.events].joined() {
        #expect(Int(report["operations"] ?? "") ?? 0 > 0, "\(line)", sourceLocation: sourceLocation)
      }
      return try (0..<disks).map { try folder.read("disk\($0)", count: 4096) }
    }

    @Test(
      "writes, reads and random reads, by interrupts and by polling",
      arguments: ["ide", "virtio-blk"], ["irq", "poll"])
    func operations(device: String, interrupts: String) throws {
      for operation in ["write", "read", "random-read"] {
        try compare(device, "operation=\(operation) block=4096 interrupts=\(interrupts) span=1048576")
      }
    }

    @Test("requests of one sector up to 1 MiB", arguments: ["ide", "virtio-blk"], [512, 65_536, 1_048_576])
    func blocks(device: String, block: Int) throws {
      try compare(device, "operation=write block=\(block) span=\(max(2 * block, 65_536))")
      if device == "virtio-blk" { try compare(device, "operation=read block=\(block) depth=4 span=\(4 * block)") }
    }

    @Test("IDE with the accesses of Linux's driver", arguments: ["irq", "poll"], [4096, 1_048_576])
    func linux(interrupts: String, block: Int) throws {
      for operation in ["write", "read"] {
        try compare(
          "ide", "operation=\(operation) block=\(block) style=linux interrupts=\(interrupts) span=\(2 * block)")
      }
    }

    // `rep outsw` is 256 exits per sector, so the test uses few sectors.
    @Test("IDE by PIO", arguments: ["irq", "poll"])
    func pio(interrupts: String) throws {
      for operation in ["write", "read"] {
        try compare("ide", "operation=\(operation) block=1024 transfer=pio interrupts=\(interrupts) span=4096")
      }
    }

    @Test("each of the PIIX3's four positions reaches the right disk", arguments: 0..<4, ["dma", "pio"])
    func places(index: Int, transfer: String) throws {
      let disks = try compare(
        "ide", "operation=write block=4096 index=\(index) transfer=\(transfer) span=4096", disks: 4)
      for (place, bytes) in disks.enumerated() {
        let expected = bytes.withUnsafeBytes {
          // The second sample's generation.
          place == index ? TestDisk.check($0, sector: 0, generation: 2) : $0.allSatisfy { $0 == 0 }
        }
        #expect(expected, "disk \(place) after a write to disk \(index)")
      }
    }
  }
}
