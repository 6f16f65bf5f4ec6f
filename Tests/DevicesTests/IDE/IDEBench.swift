import Backends
import Bus
import Counters
import Devices
import EventLoop
import GuestMemory
import TestSupport

/// A driver's view of the controller: the legacy ports, and the bus master at 0xC400.
struct IDEBench {
  let bench: DeviceBench
  let controller: IDEController
  let primaryLine = RecordedLine()
  let secondaryLine = RecordedLine()

  init(memorySize: Int = 16 << 20, options: IDEController.Options = .init()) throws {
    bench = try DeviceBench(memorySize: memorySize)
    controller = try IDEController(
      name: "ide", memory: bench.memory, loop: bench.loop, counters: bench.counters, options: options)
    controller.attachPorts(to: bench.bus, lines: (primaryLine, secondaryLine))
  }

  /// A bench with one disk in memory, as the primary master.
  static func withDisk(sectors: UInt64 = 4096, drive: Int = 0) throws -> (IDEBench, MemoryStorage) {
    let ide = try IDEBench()
    let disk = try MemoryStorage(sectorCount: sectors, counters: Counters(owner: "disk"))
    ide.controller.attachDrive(disk, channel: 0, drive: drive, model: "swiftlet disk", serial: "SL0001")
    ide.plug()
    return (ide, disk)
  }

  static func withHeldDisk(sectors: UInt64 = 4096) throws -> (IDEBench, HeldStorage) {
    let ide = try IDEBench()
    let disk = HeldStorage(sectorCount: sectors)
    ide.controller.attachDrive(disk, channel: 0, drive: 0, model: "held", serial: "H1")
    ide.plug()
    return (ide, disk)
  }

  func plug() { bench.plug(controller, number: 1) }

  func inb(_ port: UInt64) -> UInt8 { bench.inb(port) }
  func outb(_ port: UInt64, _ value: UInt8) { bench.outb(port, value) }
  func settle() { bench.settle() }
  var status: UInt8 { inb(0x1F7) }
  var alternateStatus: UInt8 { inb(0x3F6) }
  var error: UInt8 { inb(0x1F1) }
  var busMasterStatus: UInt8 { inb(0xC402) }

  /// Writes a 28-bit command with LBA.
  func command(_ code: UInt8, lba: UInt32 = 0, count: UInt8 = 1, features: UInt8 = 0, device: UInt8 = 0xE0) {
    outb(0x1F1, features)
    outb(0x1F2, count)
    outb(0x1F3, UInt8(truncatingIfNeeded: lba))
    outb(0x1F4, UInt8(truncatingIfNeeded: lba >> 8))
    outb(0x1F5, UInt8(truncatingIfNeeded: lba >> 16))
    outb(0x1F6, device | UInt8(truncatingIfNeeded: lba >> 24) & 0x0F)
    outb(0x1F7, code)
  }

  /// Writes a 48-bit command: each register twice, the high-order byte first.
  func commandExt(_ code: UInt8, lba: UInt64, count: UInt16) {
    outb(0x1F6, 0xE0)
    for (port, high, low) in [
      (0x1F2 as UInt64, UInt64(count) >> 8, UInt64(count)), (0x1F3, lba >> 24, lba), (0x1F4, lba >> 32, lba >> 8),
      (0x1F5, lba >> 40, lba >> 16),
    ] {
      outb(port, UInt8(truncatingIfNeeded: high))
      outb(port, UInt8(truncatingIfNeeded: low))
    }
    outb(0x1F7, code)
  }

  /// Stores a PRD table at `address` and points the primary bus master at it.
  func table(_ entries: [(address: UInt32, count: UInt16)], at address: UInt64 = 0x1000, ends: Bool = true) {
    for (index, entry) in entries.enumerated() {
      let end: UInt32 = ends && index == entries.count - 1 ? 0x8000_0000 : 0
      bench.memory.store(entry.address, at: address + 8 * UInt64(index))
      bench.memory.store(UInt32(entry.count) | end, at: address + 8 * UInt64(index) + 4)
    }
    bench.outl(0xC404, UInt32(address))
  }

  /// Runs a DMA command and returns BMIS before the engine is stopped.
  func dma(_ code: UInt8, lba: UInt32 = 0, count: UInt8 = 1) -> UInt8 {
    let direction: UInt8 = code == 0xC8 || code == 0xC9 || code == 0x25 ? 0x08 : 0x00
    outb(0xC400, direction)
    outb(0xC402, 0x06)
    command(code, lba: lba, count: count)
    outb(0xC400, direction | 0x01)
    settle()
    let status = busMasterStatus
    outb(0xC400, direction)
    return status
  }

  /// Runs a command of 32 MiB with a table of 8192 regions of 2 bytes and no end; returns BMIS.
  func dmaWithoutEnd() -> UInt8 {
    table(Array(repeating: (0x40000, 2), count: 8192), at: 0x20000, ends: false)
    outb(0xC400, 0x08)
    commandExt(0x25, lba: 0, count: 0)
    outb(0xC400, 0x09)
    settle()
    return busMasterStatus
  }

  /// Reads `count` words by `rep insw`.
  func words(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 2 * count)
    bytes.withUnsafeMutableBytes { _ = bench.bus.read(.port, 0x1F0, width: 2, into: $0) }
    return bytes
  }

  /// Writes `bytes` by `rep outsw`.
  func put(_ bytes: [UInt8]) { bytes.withUnsafeBytes { _ = bench.bus.write(.port, 0x1F0, width: 2, from: $0) } }

  func identify(device: UInt8 = 0xA0) -> [UInt16] {
    outb(0x1F6, device)
    outb(0x1F7, 0xEC)
    settle()
    let bytes = words(256)
    return (0..<256).map { UInt16(bytes[2 * $0]) | UInt16(bytes[2 * $0 + 1]) << 8 }
  }
}

/// Bytes that differ from sector to sector.
func pattern(_ count: Int, seed: UInt8 = 1) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9 &* 13) &+ seed }
}

extension MemoryStorage {
  func sectors(_ first: Int, _ count: Int) -> [UInt8] { Array(bytes[512 * first..<512 * (first + count)]) }
  func store(_ data: [UInt8], sector: Int) {
    UnsafeMutableRawBufferPointer(rebasing: bytes[512 * sector..<512 * sector + data.count]).copyBytes(from: data)
  }
}
