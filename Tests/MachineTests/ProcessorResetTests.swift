import Boot
import EventLoop
import GuestMemory
import KVM
import Machine
import TestSupport
import Testing

@Suite("A reset of the processor without firmware", .needsKVM, .timeLimit(.minutes(10)))
struct ProcessorResetTests {
  @Test(
    "code at F000:FFF0, where Linux jumps for reboot=b, and at the reset vector writes the reset register",
    arguments: [0xF_0000, 0xFFFF_0000] as [UInt64])
  func vectors(base: UInt64) throws {
    let memory = try GuestMemory(size: 2 << 20)
    _ = try KernelImage(BootFile(ELFBytes.make([ELFBytes.code, ELFBytes.noted]), name: "k")).load(
      commandLine: "", initialRAMDisk: nil, processors: 1, into: memory)
    let vCPU = try VirtualCPU(
      machine: VirtualMachine(system: System(), memory: memory), index: 0, of: 1)
    var system = try vCPU.systemRegisters()
    system.cs.base = base
    try vCPU.setSystemRegisters(system)
    vCPU.adoptCurrentThread()
    for value in [2, 6] as [UInt8] {
      guard case .portIO(0xCF9, 1, true, let data) = try vCPU.runOnce() else {
        Issue.record("no write of \(value) to CF9H")
        return
      }
      #expect(data.first == value)
    }
  }

  @Test("INIT to the first vCPU, by its own local APIC, resets the machine")
  func initialize() throws {
    // mov dword [FEE00310H], 0; mov dword [FEE00300H], 4500H (SDM 3, 11.6.1: INIT, assert, to APIC 0); jmp $
    let bytes: [UInt8] = [
      0xC7, 0x05, 0x10, 0x03, 0xE0, 0xFE, 0, 0, 0, 0, 0xC7, 0x05, 0x00, 0x03, 0xE0, 0xFE, 0x00, 0x45, 0, 0, 0xEB, 0xFE,
    ]
    let loop = try EventLoop(name: "io")
    loop.start()
    defer { loop.stop() }
    var configuration = MachineConfiguration(
      kernel: BootFile(ELFBytes.make32([(1, 0x10_0000, bytes, 0x1000), ELFBytes.noted]), name: "k"))
    configuration.timeout = 20_000_000_000
    let machine = try Machine(configuration, system: System(), loop: loop)
    machine.start()
    #expect(machine.wait().status == 4)
  }
}
