import TestSupport
import Testing

/// A disk model and the driver that Debian's kernel has for it.
enum DiskDriver: String, Sendable, CaseIterable, CustomTestStringConvertible {
  case ide = "ata_piix"
  case virtio = "virtio_blk"

  var model: String { self == .ide ? "ide" : "virtio" }
  var testDescription: String { rawValue }
}

@Suite("Debian's own drivers on our disks, DMA, two vCPUs", .needsLinux)
struct LinuxDiskTests {
  private func guest(_ driver: DiskDriver) async throws -> LinuxGuest {
    try await LinuxRuns.shared.run("disk \(driver.model)").guest("disk")
  }

  @Test("the driver drives each disk, and the guest powers off", arguments: DiskDriver.allCases)
  func drivers(driver: DiskDriver) async throws {
    let guest = try await guest(driver)
    for disk in 1...4 { #expect(guest.values["driver \(disk)"] == driver.rawValue) }
    #expect(guest.values["processors"] == "2")
    #expect(guest.status == 0)
    #expect(guest.statistics?.outcome == "powered off")
  }

  @Test("ata_piix finds master and slave on both channels")
  func places() async throws {
    let values = try await guest(.ide).values
    #expect((1...4).map { values["place \($0)"] } == ["0:0:0:0", "0:0:1:0", "1:0:0:0", "1:0:1:0"])
  }

  @Test("a file system is made, filled, remounted, compared and checked", arguments: DiskDriver.allCases)
  func fileSystem(driver: DiskDriver) async throws {
    try await guest(driver).expect("mkfs", "copy", "remount", "fsck")
  }

  @Test("fio's random reads and writes of mixed sizes verify by CRC32C", arguments: DiskDriver.allCases)
  func fio(driver: DiskDriver) async throws { try await guest(driver).expect("fio") }

  @Test("dd moves 4 KiB, 64 KiB and 1 MiB, direct and with a final fsync", arguments: DiskDriver.allCases)
  func transfers(driver: DiskDriver) async throws { try await guest(driver).expect("dd 4k", "dd 64k", "dd 1M") }

  @Test("virtio_blk discards, and the host's file frees the blocks; ata_piix finds no TRIM support")
  func discard() async throws {
    let virtio = try await LinuxRuns.shared.run("disk virtio")
    virtio.guest("disk").expect("discard")
    #expect(virtio.guest("disk").values["discard"] == "yes")
    #expect(try await guest(.ide).values["discard"] == "no")
    // 32 of the file's 64 MiB were freed. Outside of these, at most 16 were written.
    let blocks = try #require(Int(virtio.text("scratch.blocks").filter(\.isNumber)))
    #expect(blocks * 512 <= 33 << 20)
  }

  @Test("a read-only disk refuses writes and can be read", arguments: DiskDriver.allCases)
  func readOnly(driver: DiskDriver) async throws {
    let guest = try await guest(driver)
    guest.expect("read-only refuses", "read-only reads")
    // ATA cannot report a read-only disk.
    #expect(guest.values["read-only"] == (driver == .virtio ? "1" : "0"))
  }

  @Test("a full or failing backend causes I/O errors, and the guest keeps running", arguments: DiskDriver.allCases)
  func failures(driver: DiskDriver) async throws {
    let guest = try await guest(driver)
    guest.expect("full refuses", "full reads", "failing refuses", "failing reads elsewhere", "scratch lives on")
    let errors = guest.statistics?.counters.values.compactMap { $0["diskErrors"] }.reduce(0, +)
    #expect(errors ?? 0 >= 2)
  }
}
