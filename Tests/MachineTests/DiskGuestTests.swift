import Counters
import Machine
import TestSupport
import Testing

extension GuestTests {
  @Suite("disks of a running guest", .timeLimit(.minutes(10)))
  struct DiskGuestTests {
    /// One sample of the disk program.
    private func run(
      _ device: String, _ parameters: String, disabled: Set<AccelerationSwitch> = []
    ) throws -> (run: GuestRun, operations: Double) {
      let run = try GuestRun("program=disk device=\(device) \(parameters) duration-ms=50 span=4194304") {
        configuration, _ in
        try configuration.addMemoryDisk(device == "ide" ? .ide : .virtio)
        configuration.disabled = disabled
      }
      #expect(run.exitValue == 0, "\(run.lines)")
      return (run, Double(run.event("sample")?["operations"] ?? "") ?? 0)
    }

    @Test(
      "IDE and virtio-blk move verified data, by polling and by interrupts",
      arguments: ["ide", "virtio-blk"], ["irq", "poll"])
    func verified(device: String, interrupts: String) throws {
      for operation in ["write", "read", "random-read"] {
        let (_, operations) = try run(device, "operation=\(operation) block=4096 interrupts=\(interrupts)")
        #expect(operations > 0)
      }
    }

    @Test("virtio-blk in bulk exits at most 0.1 times per operation")
    func virtioExits() throws {
      let (run, _) = try run("virtio-blk", "operation=read block=4096 depth=32 samples=3")
      let requests = Double(run.counters[.diskReads] + run.counters[.diskWrites])
      #expect(requests > 1000)
      // The remaining exits are the device's set-up. The console and PCI exit by ports.
      #expect(Double(run.counters[.exitsMMIO]) < 0.1 * requests)
    }

    @Test("a lean IDE DMA command is 4 exits: command, start, BMIS and status read; KVM holds the rest")
    func leanExits() throws {
      let (run, _) = try run("ide", "operation=read block=4096 style=lean")
      let commands = run.counters[.diskReads] + run.counters[.diskWrites]
      let flushes = run.counters[.diskFlushes]
      // Each flush and IDENTIFY also access command and status.
      #expect(run.exits(port: 0x1F7, isWrite: true) == commands + flushes + 1)
      #expect(run.exits(port: 0xC000, isWrite: true) == commands)
      #expect(run.exits(port: 0xC002, isWrite: false) == commands)
      #expect(run.exits(port: 0xC002, isWrite: true) == 0)
      #expect(run.exits(port: 0x1F2, isWrite: true) == 0)
      #expect(run.counters[.coalescedWrites] >= 7 * commands)
    }

    @Test("an IDE DMA command in Linux's style is 13 reads and 13 writes; the ring holds 9 of these, 2 are eventfds")
    func linuxAccesses() throws {
      let (run, _) = try run("ide", "operation=read block=4096 style=linux")
      let commands = run.counters[.diskReads] + run.counters[.diskWrites]
      let ports = run.exitsByRegister.filter {
        $0.isPort && (0x1F0...0x1F7 ~= $0.address || $0.address == 0x3F6 || 0xC000...0xC00F ~= $0.address)
      }
      #expect(ports.filter { !$0.isWrite }.reduce(0) { $0 + $1.count } / commands == 13)
      #expect(ports.filter(\.isWrite).reduce(0) { $0 + $1.count } / commands == 2)
      #expect(run.counters[.coalescedWrites] / commands == 9)
    }

    @Test("a sector read by PIO is one data exit: `rep insw` of 256 words")
    func pioExits() throws {
      let (run, operations) = try run("ide", "operation=read block=512 transfer=pio duration-ms=20 span=65536")
      // IDENTIFY is one more. The 128 sectors were filled by `rep outsw`, which exits for each word.
      #expect(run.exits(port: 0x1F0, isWrite: false) == UInt64(operations) + 1)
      #expect(run.exits(port: 0x1F0, isWrite: true) == 128 * 256)
    }

    @Test(
      "with an acceleration turned off, the same data moves through exits",
      arguments: [AccelerationSwitch.ioeventfd, .irqfd, .coalescing, .msix, .eventIndex], ["ide", "virtio-blk"])
    func switches(disabled: AccelerationSwitch, device: String) throws {
      let (run, operations) = try run(device, "operation=write block=4096", disabled: [disabled])
      #expect(operations > 0)
      if disabled == .coalescing { #expect(run.counters[.coalescedWrites] == 0) }
      if disabled == .ioeventfd, device == "virtio-blk" { #expect(Double(run.counters[.exitsMMIO]) > operations) }
    }
  }
}
