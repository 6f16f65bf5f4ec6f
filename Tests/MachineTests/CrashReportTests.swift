import Boot
import EventLoop
import GuestMemory
import KVM
import TestSupport
import Testing

@testable import Machine

@Suite("crash reports", .needsKVM, .timeLimit(.minutes(10)))
struct CrashReportTests {
  private func freshVCPU() throws -> VirtualCPU {
    let machine = try VirtualMachine(system: System(), memory: GuestMemory(size: 2 << 20))
    return try VirtualCPU(machine: machine, index: 0, of: 1)
  }

  @Test("the report omits registers that KVM has reset, as on SVM after a triple fault, and says so")
  func resetState() throws {
    let report = CrashReport(vCPU: try freshVCPU(), cause: "triple fault", log: ExitLog())
    #expect(report.registers.isEmpty)
    #expect(
      report.description == """
        guest crashed on vCPU 0: triple fault
          no registers: KVM reset the vCPU before it reported the crash, as it does on SVM
          no exits before the crash
        """)
  }

  @Test("any other state is the guest's, and the report shows it")
  func guestState() throws {
    let vCPU = try freshVCPU()
    var registers = try vCPU.registers()
    registers.rip = 0xFFF1
    try vCPU.setRegisters(registers)
    let report = CrashReport(vCPU: vCPU, cause: "triple fault", log: ExitLog())
    #expect(report.registers.first { $0.name == "rip" }?.value == 0xFFF1)
    #expect(!report.description.contains("no registers"))
  }

  @Test(
    "an error of a software KVM comes with the hint that it cannot run kernels",
    .enabled(if: System.kind == .pvm, "needs the software KVM, pvm"))
  func softwareKVM() throws {
    // popcnt eax, eax, which pvm's interpreter does not support.
    let code: ELFBytes.Segment = (1, 0x10_0000, [0xF3, 0x0F, 0xB8, 0xC0, 0xF4], 0x1000)
    let loop = try EventLoop(name: "io")
    loop.start()
    defer { loop.stop() }
    var configuration = MachineConfiguration(kernel: BootFile(ELFBytes.make([code, ELFBytes.noted]), name: "k"))
    configuration.timeout = 20_000_000_000
    let machine = try Machine(configuration, system: System(), loop: loop)
    machine.start()
    guard case .crashed(let report) = machine.wait() else {
      Issue.record("the guest went on")
      return
    }
    #expect(report.cause.hasPrefix("KVM internal error 1"))
    let lines = report.description.split(separator: "\n").map(String.init)
    #expect(
      lines.last == "  hint: this host's KVM is pvm, which interprets a kernel's code and lacks many instructions. "
        + "Run Linux on a host with VT-x or SVM, or in the lab (Docs/LinuxLab.md).")
  }
}
