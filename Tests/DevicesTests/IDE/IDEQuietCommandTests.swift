import Bus
import EventLoop
import TestSupport
import Testing
import Threads

@Suite("BMIC writes without START, taken by KVM (Programming Interface for Bus Master IDE Controller 1.0, 2.1)")
struct IDEQuietCommandTests {
  /// The eventfd that KVM signals for a byte `value` written to `port`.
  private func event(_ ide: IDEBench, _ port: UInt64, _ value: UInt64) throws -> EventDescriptor {
    let range = try #require(ide.bench.bus.range(.port, at: port))
    for case .doorbell(let offset, width: 1, let match, let event) in range.accelerations
    where range.base + offset == port && match == value {
      return event
    }
    throw CancellationError()
  }

  @Test("both channels have the values 00H and 08H, and none with START")
  func values() throws {
    let (ide, _) = try IDEBench.withDisk()
    for port in [0xC400, 0xC408] as [UInt64] {
      for value in [0x00, 0x08] as [UInt64] { _ = try event(ide, port, value) }
      for value in [0x01, 0x09] as [UInt64] {
        #expect(throws: CancellationError.self) { try event(ide, port, value) }
      }
    }
    let range = try #require(ide.bench.bus.range(.port, at: 0xC400))
    let doorbells = range.accelerations.filter { if case .doorbell = $0 { true } else { false } }
    #expect(doorbells.count == 4)
  }

  @Test("a read of the register shows the written direction, and applies it only once")
  func direction() throws {
    let (ide, _) = try IDEBench.withDisk()
    try event(ide, 0xC400, 0x08).signal()
    #expect(ide.inb(0xC400) == 0x08)
    #expect(ide.inb(0xC408) == 0x00)
    ide.outb(0xC400, 0x00)
    #expect(ide.inb(0xC400) == 0x00)
    try event(ide, 0xC408, 0x08).signal()
    #expect(ide.inb(0xC408) == 0x08)
  }

  @Test("the next read of BMIS shows the stop, and the drive is ready once the request has ended")
  func stop() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.table([(0x10000, 512)])
    ide.command(0xC8)
    ide.outb(0xC400, 0x09)
    ide.settle()
    #expect(ide.busMasterStatus == 0x01)
    try event(ide, 0xC400, 0x08).signal()
    #expect(ide.busMasterStatus == 0x01)
    disk.release()
    ide.settle()
    #expect(ide.busMasterStatus == 0x00)
    #expect(ide.status == 0x50)
    #expect(ide.primaryLine.changes == [])
  }

  @Test("a stop applies before a START that is written after it, and before a command")
  func order() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.table([(0x10000, 512)])
    try event(ide, 0xC400, 0x08).signal()
    ide.outb(0xC400, 0x09)
    #expect(ide.busMasterStatus == 0x01)
    try event(ide, 0xC400, 0x00).signal()
    ide.command(0xC8)
    ide.settle()
    #expect(disk.submitted == 0, "the engine was stopped when the command came")
    ide.outb(0xC400, 0x09)
    ide.settle()
    #expect(disk.submitted == 1)
  }

  @Test("a transfer that is stopped before the loop sees it does not begin")
  func queued() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.table([(0x10000, 512)])
    ide.command(0xC8)
    ide.outb(0xC400, 0x09)
    try event(ide, 0xC400, 0x00).signal()
    ide.settle()
    #expect(disk.submitted == 0)
  }

  @Test("after a stop, the task file accepts the next command's registers as soon as the status shows ready")
  func registersAfterStop() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.table([(0x10000, 512)])
    ide.command(0xC8, lba: 5)
    ide.outb(0xC400, 0x09)
    ide.settle()
    try event(ide, 0xC400, 0x00).signal()
    #expect(ide.alternateStatus == 0xD0)
    disk.release()
    #expect(ide.alternateStatus == 0x50)
    try event(ide, 0xC400, 0x00).signal()
    ide.outb(0x1F3, 77)
    #expect(ide.inb(0x1F3) == 77)
    ide.settle()
    #expect(ide.primaryLine.changes == [])
  }

  @Test("of 00H and 08H without a read in between, the later value applies", arguments: [0x00, 0x08] as [UInt64])
  func bothPending(last: UInt64) throws {
    let (ide, _) = try IDEBench.withDisk()
    for _ in 0..<3 {
      try event(ide, 0xC400, 0x08 - last).signal()
      try event(ide, 0xC400, last).signal()
      #expect(ide.inb(0xC400) == UInt8(last))
      #expect(ide.inb(0xC400) == UInt8(last))
    }
  }

  @Test("a transfer that was stopped through the eventfd ends without an interrupt")
  func stoppedEnd() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.table([(0x10000, 512)])
    ide.command(0xC8)
    ide.outb(0xC400, 0x09)
    ide.settle()
    try event(ide, 0xC400, 0x08).signal()
    disk.release()
    ide.settle()
    #expect(ide.primaryLine.changes == [])
    #expect(ide.busMasterStatus == 0x00)
  }

  @Test("a held write to BMIS applies before the interrupt of a command that ends later")
  func heldStatus() throws {
    final class Held: WriteCoalescer, @unchecked Sendable {
      var pending: (() -> Void)?
      func applyHeldWrites() {
        pending?()
        pending = nil
      }
    }
    let held = Held()
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.bench.bus.connect(held)
    ide.table([(0x10000, 512)])
    ide.command(0xC8)
    ide.outb(0xC400, 0x09)
    ide.settle()
    held.pending = { ide.outb(0xC402, 0x06) }
    disk.release()
    ide.settle()
    held.applyHeldWrites()
    #expect(ide.busMasterStatus == 0x04)
  }
}
