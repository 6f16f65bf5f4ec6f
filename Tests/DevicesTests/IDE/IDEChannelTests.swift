import Backends
import Bus
import Counters
import Devices
import TestSupport
import Testing

@Suite("Channels, resets and interrupts (ATA/ATAPI-6, clauses 7 and 9)")
struct IDEChannelTests {
  @Test("HOB shows the previous contents, until any register is written")
  func highOrderByte() throws {
    let (ide, _) = try IDEBench.withDisk()
    for port in 0x1F2...0x1F5 as ClosedRange<UInt64> {
      ide.outb(port, 0x11)
      ide.outb(port, 0x22)
    }
    #expect((0x1F2...0x1F5).map { ide.inb($0) } == [0x22, 0x22, 0x22, 0x22])
    ide.outb(0x3F6, 0x80)
    #expect((0x1F2...0x1F5).map { ide.inb($0) } == [0x11, 0x11, 0x11, 0x11])
    ide.outb(0x1F6, 0xE0)
    #expect(ide.inb(0x1F3) == 0x22)
  }

  @Test("nIEN keeps INTRQ low; a pending interrupt shows once it is cleared")
  func interruptDisable() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.outb(0x3F6, 0x02)
    ide.command(0xE5)
    #expect(ide.primaryLine.changes == [])
    #expect(ide.busMasterStatus & 0x04 == 0)
    ide.outb(0x3F6, 0x00)
    #expect(ide.primaryLine.changes == [true])
    #expect(ide.busMasterStatus & 0x04 == 0x04)
    ide.outb(0x3F6, 0x02)
    #expect(ide.primaryLine.changes == [true, false])
    _ = ide.status
    ide.outb(0x3F6, 0x00)
    #expect(ide.primaryLine.changes == [true, false])
  }

  @Test("writing the command register lowers INTRQ")
  func commandLowers() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.command(0xE5)
    ide.command(0xE7)
    #expect(ide.primaryLine.changes == [true, false])
    ide.settle()
    disk.release()
    #expect(ide.primaryLine.changes == [true, false, true])
  }

  @Test("SRST leaves the signature, code 01h and drive 0; BSY while it is set")
  func softwareReset() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.command(0xC6, count: 4)
    ide.outb(0x1F6, 0xB0)
    ide.outb(0x3F6, 0x04)
    #expect(!ide.primaryLine.isAsserted)
    ide.outb(0x1F2, 0x77)
    ide.outb(0x3F6, 0x00)
    #expect((0x1F1...0x1F5).map { ide.inb($0) } == [1, 1, 1, 0, 0])
    #expect(ide.inb(0x1F6) & 0x10 == 0)
    #expect(ide.status == 0x50)
    ide.command(0xC4)
    #expect(ide.status == 0x51, "SRST disables READ MULTIPLE")
  }

  @Test("SRST shows BSY")
  func resetBusy() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.outb(0x3F6, 0x04)
    #expect(ide.status == 0x80)
    ide.outb(0x1F7, 0xEC)
    ide.outb(0x3F6, 0x00)
    ide.settle()
    #expect(ide.status == 0x50, "a command written meanwhile has no effect")
  }

  @Test(
    "SRST abandons the running command, DMA or PIO, and its completion is not visible",
    arguments: [0xC8, 0xCA, 0x20, 0x30, 0xE7] as [UInt8])
  func resetDuringTransfer(code: UInt8) throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.table([(0x10000, 512)])
    ide.command(code)
    if code == 0x30 { ide.put(pattern(512)) }
    ide.outb(0xC400, code == 0xC8 ? 0x09 : 0x01)
    ide.settle()
    #expect(disk.submitted == 1)
    ide.outb(0x3F6, 0x04)
    ide.outb(0xC400, 0x00)
    ide.outb(0x3F6, 0x00)
    #expect(ide.alternateStatus & 0x80 == 0x80)
    disk.release(.failed(5))
    ide.settle()
    #expect(ide.status == 0x50)
    ide.command(0x30, lba: 3)
    #expect(ide.status == 0x58)
    ide.put(pattern(512))
    ide.settle()
    #expect(disk.submitted == 2)
    #expect(ide.primaryLine.changes == [])
    disk.release()
    #expect(ide.primaryLine.changes == [true])
    #expect(ide.status == 0x50)
    #expect(ide.bench.counters[.diskErrors] == 0)
  }

  @Test("while BSY is set, the drive owns the registers")
  func busy() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.command(0xE7, lba: 0x010203)
    ide.outb(0x1F3, 0x99)
    ide.outb(0x1F7, 0xE5)
    ide.settle()
    #expect(disk.submitted == 1)
    disk.release()
    #expect(ide.status == 0x50)
    #expect(ide.inb(0x1F3) == 0x03)
    #expect(ide.bench.counters[.doorbells] == 1)
  }

  @Test("a master without a slave answers for it with status 0")
  func noSlave() throws {
    let (ide, _) = try IDEBench.withDisk()
    ide.outb(0x1F6, 0xB0)
    #expect(ide.status == 0)
    #expect(ide.alternateStatus == 0)
    ide.outb(0x1F7, 0xEC)
    ide.settle()
    #expect(ide.status == 0)
    #expect(ide.primaryLine.changes == [])
    ide.outb(0x1F6, 0xA0)
    #expect(ide.status == 0x50)
  }

  @Test("an empty cable does not answer, nor a slave for a missing master; DD7 is pulled down")
  func empty() throws {
    let (ide, _) = try IDEBench.withDisk(drive: 1)
    for port in [0x1F1, 0x1F2, 0x1F3, 0x1F6, 0x1F7, 0x3F6, 0x171, 0x172, 0x177, 0x376] as [UInt64] {
      #expect(ide.inb(port) == 0x7F, "port \(port)")
    }
    ide.outb(0x1F2, 0x55)
    #expect(ide.inb(0x1F2) == 0x7F)
    ide.outb(0x177, 0x90)
    ide.outb(0x376, 0x04)
    ide.outb(0x376, 0x00)
    #expect(ide.secondaryLine.changes == [])
    ide.outb(0x1F6, 0xB0)
    #expect(ide.status == 0x50)
  }
}

@Suite("82371SB function 1 (datasheet 2.3)")
struct IDEFunctionTests {
  @Test("identity and defaults of configuration space")
  func configuration() throws {
    let (ide, _) = try IDEBench.withDisk()
    #expect(ide.controller.readConfiguration(0x00, width: 4) == 0x7010_8086)
    #expect(ide.controller.readConfiguration(0x08, width: 4) == 0x0101_8000)
    #expect(ide.controller.readConfiguration(0x06, width: 2) == 0x0280)
    #expect(ide.controller.readConfiguration(0x20, width: 4) == 0x0000_C401)
    #expect(ide.controller.readConfiguration(0x3D, width: 1) == 0)
    #expect(ide.controller.readConfiguration(0x40, width: 4) == 0x8000_8000)
    ide.controller.writeConfiguration(0x20, 0xFFFF_FFFF, width: 4)
    #expect(ide.controller.readConfiguration(0x20, width: 4) & 0xFFFF == 0xFFF1, "16 ports")
  }

  @Test("a channel's ports are claimed while IDETIM bit 15 and PCI command bit 0 are set")
  func decode() throws {
    let (ide, _) = try IDEBench.withDisk()
    #expect(ide.bench.bus.range(.port, at: 0x1F0) != nil)
    #expect(ide.bench.bus.range(.port, at: 0x1F8) == nil)
    #expect(ide.bench.bus.range(.port, at: 0x3F7) == nil)
    ide.controller.writeConfiguration(0x40, 0x0000, width: 2)
    #expect(ide.bench.bus.range(.port, at: 0x1F0) == nil)
    #expect(ide.bench.bus.range(.port, at: 0x3F6) == nil)
    #expect(ide.bench.bus.range(.port, at: 0x170) != nil)
    ide.controller.writeConfiguration(0x40, 0x8000, width: 2)
    #expect(ide.status == 0x50)
    ide.controller.writeConfiguration(0x04, 0, width: 2)
    for port in [0x1F7, 0x3F6, 0x177, 0x376, 0xC400] as [UInt64] {
      #expect(ide.bench.bus.range(.port, at: port) == nil)
    }
  }

  @Test("KVM may hold writes of task file, BMIS and PRD pointer, but not of command, control and BMIC")
  func coalescing() throws {
    func held(_ ide: IDEBench, _ port: UInt64) -> Bool {
      guard let range = ide.bench.bus.range(.port, at: port) else { return false }
      return range.accelerations.contains {
        guard case .coalesced(let offset, let size) = $0 else { return false }
        return port - range.base >= offset && port - range.base < offset + size
      }
    }
    let (ide, _) = try IDEBench.withDisk()
    for port in [0x1F1, 0x1F2, 0x1F6, 0x171, 0x176, 0xC402, 0xC404, 0xC407, 0xC40A, 0xC40C] as [UInt64] {
      #expect(held(ide, port))
    }
    for port in [0x1F0, 0x1F7, 0x3F6, 0x170, 0x177, 0x376, 0xC400, 0xC401, 0xC408] as [UInt64] {
      #expect(!held(ide, port), "port \(port)")
    }
    var options = IDEController.Options()
    options.coalescesTaskFile = false
    let plain = try IDEBench(options: options)
    plain.plug()
    for port in 0x1F0...0x1F7 as ClosedRange<UInt64> { #expect(!held(plain, port)) }
    #expect(!held(plain, 0xC404))
  }

  @Test("a detached controller does not answer, and a late completion is harmless")
  func detach() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.command(0x20)
    ide.settle()
    ide.controller.detach()
    #expect(ide.inb(0x1F7) == 0xFF)
    disk.release()
    ide.settle()
    #expect(ide.primaryLine.changes == [])
  }

  @Test("transfers run on the loop's thread while a vCPU uses the registers")
  func threaded() throws {
    let (ide, disk) = try IDEBench.withDisk()
    disk.store(pattern(2048), sector: 0)
    ide.table([(0x10000, 2048)])
    ide.bench.loop.start()
    defer { ide.bench.loop.stop() }
    for _ in 0..<200 {
      ide.outb(0xC400, 0x08)
      ide.outb(0xC402, 0x06)
      ide.command(0xC8, count: 4)
      ide.outb(0xC400, 0x09)
      var polls = 0
      while ide.busMasterStatus & 0x04 == 0, polls < 50_000_000 { polls += 1 }
      #expect(ide.busMasterStatus == 0x04)
      #expect(ide.status == 0x50)
    }
    #expect(ide.bench.bytes(at: 0x10000, count: 2048) == pattern(2048))
    #expect(ide.bench.counters[.interrupts] == 200)
  }

  /// A generator with a seed, so that a failure can be repeated.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F
      var value = state
      value ^= value >> 33
      value = value &* 0xFF51_AFD7_ED55_8CCD
      return value ^ value >> 33
    }
  }

  @Test("random accesses neither trap nor hang the controller", arguments: 1...20 as ClosedRange<UInt64>)
  func fuzz(seed: UInt64) throws {
    let ide = try IDEBench()
    let disk = try MemoryStorage(sectorCount: 5000, counters: Counters(owner: "disk"))
    let held = HeldStorage(sectorCount: 1 << 40)
    ide.controller.attachDrive(disk, channel: 0, drive: 0, model: "a", serial: "a")
    ide.controller.attachDrive(held, channel: 0, drive: 1, model: "b", serial: "b")
    ide.plug()
    var random = Generator(state: seed)
    let codes: [UInt8] = [
      0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x40, 0x42, 0x90, 0x91, 0xC4, 0xC5, 0xC6, 0xC8, 0xCA, 0xE7, 0xEC,
      0xEF,
    ]
    for address in stride(from: 0, to: 0x1000, by: 8) as StrideTo<UInt64> {
      ide.bench.memory.store(random.next() & 0x8000_FFFF_01FF_FFFF, at: address)
    }
    for _ in 0..<1000 {
      switch random.next() % 12 {
      case 0...4:
        let port = [0x1F1, 0x1F2, 0x1F3, 0x1F4, 0x1F5, 0x1F6, 0x3F6, 0xC400, 0xC402][Int(random.next() % 9)] as UInt64
        ide.outb(port, UInt8(truncatingIfNeeded: random.next()))
      case 5: ide.outb(0x1F7, codes[Int(random.next() % UInt64(codes.count))])
      case 6: ide.bench.outl(0xC404, UInt32(truncatingIfNeeded: random.next() & 0x1FFF))
      case 7:
        let port = 0x1F0 + random.next() % 8
        ide.bench.bus.write(.port, port, width: 1 << Int(random.next() % 3), random.next())
        _ = ide.bench.bus.read(.port, port, width: 1 << Int(random.next() % 3))
      case 8: _ = ide.words(Int(random.next() % 600) + 1)
      case 9: ide.put([UInt8](repeating: 0xA5, count: 2 * Int(random.next() % 600) + 2))
      case 10: held.release(random.next() % 3 == 0 ? .failed(5) : .success)
      default: ide.settle()
      }
      #expect(held.waiting.count <= 1)
    }
    ide.outb(0xC400, 0)
    ide.outb(0x3F6, 0x04)
    ide.outb(0x3F6, 0x00)
    ide.settle()
    #expect(ide.identify()[60] == 5000)
  }
}
