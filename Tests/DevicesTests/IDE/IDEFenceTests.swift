import Backends
import Counters
import Devices
import EventLoop
import Glibc
import TestSupport
import Testing
import Threads

/// Checks what the guest sees while an abandoned request may still write to its memory.
@Suite("IDE does not show an idle drive while its storage has a request", .timeLimit(.minutes(10)))
struct IDEFenceTests {
  private func runningDMA() throws -> (IDEBench, HeldStorage) {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.table([(0x10000, 512)])
    ide.command(0xC8)
    ide.outb(0xC400, 0x09)
    ide.settle()
    #expect(disk.submitted == 1)
    return (ide, disk)
  }

  @Test("SRST: BSY stays set until the request has ended, then both drives are reset")
  func softwareReset() throws {
    let (ide, disk) = try runningDMA()
    ide.outb(0x3F6, 0x04)
    ide.outb(0x3F6, 0x00)
    #expect(ide.alternateStatus == 0x80)
    ide.outb(0x1F7, 0xEC)
    #expect(ide.alternateStatus == 0x80, "a command written meanwhile is ignored")
    disk.release(fill: 7)
    ide.settle()
    #expect(ide.status == 0x50)
    #expect((0x1F1...0x1F5).map { ide.inb($0) } == [1, 1, 1, 0, 0])
    #expect(ide.primaryLine.changes == [])
    #expect(ide.bench.counters[.diskReads] == 0)
  }

  @Test("SRST that is still set when the request ends keeps BSY, and resets when it is cleared")
  func longReset() throws {
    let (ide, disk) = try runningDMA()
    ide.outb(0x3F6, 0x04)
    ide.outb(0x3F6, 0x00)
    ide.outb(0x3F6, 0x04)
    disk.release()
    ide.settle()
    #expect(ide.alternateStatus == 0x80)
    ide.outb(0x3F6, 0x00)
    #expect(ide.status == 0x50)
  }

  @Test("BMIC stop: BSY and BMIS ACTIVE stay set until the request has ended")
  func stop() throws {
    let (ide, disk) = try runningDMA()
    ide.outb(0xC400, 0x08)
    #expect(ide.busMasterStatus == 0x01)
    #expect(ide.alternateStatus & 0x80 == 0x80)
    disk.release()
    ide.settle()
    #expect(ide.busMasterStatus == 0x00)
    #expect(ide.alternateStatus == 0x50)
    #expect(ide.primaryLine.changes == [])
  }

  @Test("a stop during a reset shows ACTIVE as well")
  func stopDuringReset() throws {
    let (ide, disk) = try runningDMA()
    ide.outb(0x3F6, 0x04)
    ide.outb(0xC400, 0x00)
    #expect(ide.busMasterStatus == 0x01)
    disk.release()
    ide.settle()
    #expect(ide.busMasterStatus == 0x00)
  }

  @Test("if bus mastering goes off before the loop begins a command, the command waits until it is on")
  func queued() throws {
    let (ide, disk) = try IDEBench.withHeldDisk()
    ide.table([(0x10000, 512)])
    ide.command(0xC8)
    ide.outb(0xC400, 0x09)
    ide.controller.writeConfiguration(0x04, 0x0003, width: 2)
    ide.settle()
    #expect(disk.submitted == 0)
    #expect(ide.alternateStatus == 0x58)
    ide.controller.writeConfiguration(0x04, 0x0007, width: 2)
    ide.settle()
    #expect(disk.submitted == 1)
  }

  @Test("the access that turns bus mastering off ends only after the request")
  func busMasterOff() throws {
    let (ide, disk) = try runningDMA()
    let loop = ide.bench.loop
    loop.start()
    defer { loop.stop() }
    let controller = ide.controller
    let isOff = Latch()
    let guest = BackgroundThread {
      controller.writeConfiguration(0x04, 0x0003, width: 2)
      isOff.open()
    }
    guest.start()
    #expect(!isOff.wait(nanoseconds: 50_000_000), "the request is in flight")
    loop.sync { disk.release(fill: 7) }
    isOff.wait()
    guest.join()
    #expect(ide.bench.bytes(at: 0x10000, count: 1) == [7])
    #expect(ide.alternateStatus == 0x50)
  }

  @Test("the end of the machine ends such an access, even if the request never ends")
  func endOfMachine() throws {
    let (ide, disk) = try runningDMA()
    ide.bench.loop.start()
    defer { ide.bench.loop.stop() }
    let controller = ide.controller
    let isOff = Latch()
    let guest = BackgroundThread {
      controller.writeConfiguration(0x04, 0x0003, width: 2)
      isOff.open()
    }
    guest.start()
    #expect(!isOff.wait(nanoseconds: 10_000_000))
    ide.bench.bus.endWaiting()
    #expect(isOff.wait(nanoseconds: 10_000_000_000))
    // Unblocks an access that still waits.
    ide.bench.loop.sync { disk.release() }
    guest.join()
  }

  @Test("a controller that is detached with a request in flight is freed after the request has ended")
  func detach() throws {
    var ide: IDEBench?
    let disk: HeldStorage
    (ide, disk) = try runningDMA()
    weak let controller = ide?.controller
    weak let memory = ide?.bench.memory
    ide?.controller.detach()
    ide?.controller.unplug()
    ide?.bench.bus.removeAll()
    ide = nil
    #expect(controller != nil, "the storage still writes to its memory")
    disk.release()
    #expect(controller == nil)
    #expect(memory == nil)
  }
}
