import Backends
import Boot
import Counters
import EventLoop
import GuestImages
import KVM
import Machine
import Measurement

/// A completed run of a test guest on this VMM: its output, outcome and counts.
package struct GuestRun: GuestReport, Sendable {
  package var outcome: MachineOutcome
  package var lines: [String]
  package var counters: CounterSnapshot
  package var countersByOwner: [String: CounterSnapshot]
  package var exitsByRegister: [(address: UInt64, isPort: Bool, isWrite: Bool, count: UInt64)]

  /// Boots the test guest with `commandLine` and waits for its end. A hanging guest counts as crashed after a minute.
  package init(
    _ commandLine: String, configure: (inout MachineConfiguration, EventLoop) throws -> Void = { _, _ in },
    while body: (Machine) throws -> Void = { _ in }
  ) throws {
    let loop = try EventLoop(name: "io")
    loop.start()
    defer { loop.stop() }
    let console = GuestConsole()
    var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
    configuration.commandLine = commandLine
    configuration.serial = console
    configuration.memorySize = 64 << 20
    configuration.watchdog = 60_000_000_000
    try configure(&configuration, loop)
    let machine = try Machine(configuration, system: System(), loop: loop)
    machine.start()
    try body(machine)
    outcome = machine.wait()
    lines = console.lines
    counters = machine.counters
    countersByOwner = Dictionary(machine.countersByOwner.map { ($0.owner, $0.counters) }) { $1 }
    exitsByRegister = machine.exitsByRegister
  }

  /// The value that the guest ended with, or nil for any other end.
  package var exitValue: UInt32? { if case .ended(let value) = outcome { value } else { nil } }

  /// The number of exits at a port, in one direction.
  package func exits(port: UInt64, isWrite: Bool) -> UInt64 {
    exitsByRegister.filter { $0.isPort && $0.address == port && $0.isWrite == isWrite }.reduce(0) { $0 + $1.count }
  }
}

extension MachineConfiguration {
  /// Adds a disk of `megabytes` in memory.
  package mutating func addMemoryDisk(_ model: Disk.Model, megabytes: UInt64 = 32) throws {
    let storage = try MemoryStorage(sectorCount: megabytes * 2048, counters: Counters(owner: "memory"))
    disks.append(Disk(storage: storage, model: model, serial: "TEST\(disks.count)"))
  }
}
