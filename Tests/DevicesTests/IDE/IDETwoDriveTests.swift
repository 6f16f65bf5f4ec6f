import Backends
import Bus
import Counters
import Devices
import TestSupport
import Testing

@Suite("Two drives on a cable (ATA/ATAPI-6, clauses 7 and 9.16)")
struct IDETwoDriveTests {
  /// A master of 2048 sectors and a slave of 1000.
  private func bench() throws -> IDEBench {
    let ide = try IDEBench()
    for (drive, sectors) in [2048, 1000].enumerated() {
      let disk = try MemoryStorage(sectorCount: UInt64(sectors), counters: Counters(owner: "disk"))
      ide.controller.attachDrive(disk, channel: 0, drive: drive, model: "d\(drive)", serial: "")
    }
    ide.plug()
    return ide
  }

  @Test("9.12: at power-on both show the signature of a disk")
  func powerOn() throws {
    let ide = try bench()
    for device in [0xA0, 0xB0] as [UInt8] {
      ide.outb(0x1F6, device)
      #expect((0x1F1...0x1F5).map { ide.inb($0) } == [1, 1, 1, 0, 0])
    }
  }

  @Test("7: both drives latch the host's writes, and each reports in its own registers")
  func taskFiles() throws {
    let ide = try bench()
    ide.outb(0x1F6, 0xA0)
    ide.outb(0x1F3, 0x55)
    ide.outb(0x1F6, 0xB0)
    #expect(ide.inb(0x1F3) == 0x55)
    ide.outb(0x1F6, 0xA0)
    // CHECK POWER MODE answers in the sector count register.
    ide.outb(0x1F2, 0x12)
    ide.outb(0x1F7, 0xE5)
    #expect(ide.inb(0x1F2) == 0xFF)
    ide.outb(0x1F6, 0xB0)
    #expect(ide.inb(0x1F2) == 0x12, "the slave's register is as written")
    // An error of the slave changes only the slave's registers.
    ide.command(0x40, lba: 998, count: 4, device: 0xF0)
    #expect((0x1F1...0x1F4).map { ide.inb($0) } == [0x10, 2, 0xE8, 0x03])
    ide.outb(0x1F6, 0xE0)
    #expect((0x1F2...0x1F4).map { ide.inb($0) } == [4, 0xE6, 0x03])
  }

  @Test("5.2.9: INTRQ is the selected drive's; reading one status leaves the other's interrupt pending")
  func interrupts() throws {
    let ide = try bench()
    ide.outb(0x1F6, 0xA0)
    ide.outb(0x1F7, 0xE5)
    #expect(ide.primaryLine.isAsserted)
    ide.outb(0x1F6, 0xB0)
    #expect(!ide.primaryLine.isAsserted, "the slave has no interrupt, and drives the line")
    #expect(ide.status == 0x50)
    ide.outb(0x1F6, 0xA0)
    #expect(ide.primaryLine.isAsserted)
    #expect(ide.status == 0x50)
    #expect(!ide.primaryLine.isAsserted)
  }

  @Test("a master without a slave answers for it, and reading that status does not clear the master's interrupt")
  func loneMaster() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.command(0xE5)
    ide.outb(0x1F6, 0xB0)
    #expect(ide.status == 0)
    ide.outb(0x1F6, 0xA0)
    #expect(ide.primaryLine.isAsserted)
  }

  @Test(
    "6.2 of ATA/ATAPI-5: no translation reaches beyond the last sector",
    arguments: [(1, 1, 1, 1), (62, 1, 1, 62), (1000, 1, 15, 63), (1008, 1, 16, 63), (5000, 4, 16, 63)])
  func smallDisks(sectors: Int, cylinders: UInt16, heads: UInt16, perTrack: UInt16) throws {
    let (ide, _) = try IDEBench.withDisk(sectors: UInt64(sectors))
    let words = ide.identify()
    #expect([words[1], words[3], words[6]] == [cylinders, heads, perTrack])
    #expect(Int(words[57]) | Int(words[58]) << 16 <= sectors)
    #expect(words[60] == UInt16(sectors))
  }

  @Test("INITIALIZE DEVICE PARAMETERS with a cylinder larger than the disk is aborted")
  func largeCylinder() throws {
    let (ide, _) = try IDEBench.withDisk(sectors: 100)
    ide.command(0x91, count: 63, device: 0xA1)
    #expect(ide.status == 0x51 && ide.error == 0x04)
    ide.command(0x91, count: 25, device: 0xA3)
    #expect(ide.status == 0x50)
  }

  @Test("legacy ports of another device are claimed once it releases them")
  func legacyPorts() throws {
    let ide = try IDEBench()
    let disk = try MemoryStorage(sectorCount: 64, counters: Counters(owner: "disk"))
    ide.controller.attachDrive(disk, channel: 0, drive: 0, model: "d", serial: "")
    let other = PCIFunction(
      name: "other", identity: PCIIdentity(vendor: 0x1234, device: 1, baseClass: 0xFF, subclass: 0),
      bars: [PCIBaseAddress(kind: .port, size: 16)])
    ide.bench.bridge.plug(other, device: 5)
    other.attach(to: ide.bench.bus, line: nil, interruptLine: 0)
    other.assign(bar: 0, to: 0x1F0)
    other.writeConfiguration(0x04, 0x0001, width: 2)
    ide.plug()
    #expect(ide.inb(0x1F7) == 0xFF, "the other device's port")
    // Through the host bridge, as a guest would.
    ide.bench.outl(0xCF8, 0x8000_2810)
    ide.bench.outl(0xCFC, 0x0000_D001)
    #expect(ide.inb(0x1F7) == 0x50)
    #expect(ide.identify()[60] == 64)
  }
}
