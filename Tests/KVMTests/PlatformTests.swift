import CLinux
import GuestMemory
import KVM
import TestSupport
import Testing

@Suite("State that KVM and the machine's firmware tables share", .serialized, .needsKVM)
struct PlatformTests {
  /// Guest code that lets the PIT tick into pin 2 of the IOAPIC with `vector`.
  ///
  /// It polls the local APIC's request register at most 100 000 times, and writes 1 to port 600H when the vector is
  /// there, else 0. Interrupts stay off, so that it needs no handler.
  private static func tick(vector: UInt32) -> [UInt8] {
    // Intel 82093AA: the index register, and the window.
    let (index, window): (UInt32, UInt32) = (0xFEC0_0000, 0xFEC0_0010)
    let request: UInt32 = 0xFEE0_0200 + vector / 32 * 0x10
    func little(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    // mov eax, [request]; test eax, bit
    let isRequested = [0xA1] + little(request) + [0xA9] + little(1 << (vector % 32))
    var code = BareMachine.store(0xFEE0_00F0, 0x1FF)  // the local APIC is on
    for (register, value) in [(0x14, vector), (0x15, 0)] as [(UInt32, UInt32)] {
      // Pin 2: fixed, edge-triggered, not masked, to APIC 0.
      code += BareMachine.store(index, register) + BareMachine.store(window, value)
    }
    // Intel 8254: channel 0, both bytes, rate generator; 1193 counts per tick of 1 ms.
    for (port, value) in [(0x43, 0x34), (0x40, 0xA9), (0x40, 0x04)] as [(UInt16, UInt8)] {
      code += BareMachine.out(port, value)
    }
    code += [0xB9] + little(100_000)  // mov ecx, 100000
    code += isRequested + [0x75, 0x03, 0x49, 0x75, 0xF1]  // jnz on; dec ecx; jnz back to the poll
    code += isRequested + [0x66, 0xBA, 0x00, 0x06, 0x0F, 0x95, 0xC0, 0xEE]  // mov dx, 600H; setnz al; out dx, al
    return code
  }

  @Test("the PIT ticks at pin 2 of the IOAPIC, as the MADT says, before a message has a route and after it")
  func timerPin() throws {
    let bare = try BareMachine(Self.tick(vector: 0x30) + Self.tick(vector: 0x51))
    #expect(try bare.nextExit() == "out 0x600 = 1")
    let gsi = try #require(bare.machine.routing.allocateGSI())
    try bare.machine.routing.setMessage(gsi, address: 0xFEE0_0000, data: 0x41)
    #expect(try bare.nextExit() == "out 0x600 = 1")
  }

  @Test("MTRRs are as firmware leaves them: on, fixed ranges on, write-back except A0000H to BFFFFH (SDM 3, 12.11)")
  func memoryTypes() throws {
    var code: [UInt8] = []
    for register in [0x2FF, 0x250, 0x259, 0x26F] as [UInt16] {
      // mov ecx, register; rdmsr; mov dx, 600H; out dx, eax
      code += [0xB9, UInt8(truncatingIfNeeded: register), UInt8(register >> 8), 0, 0, 0x0F, 0x32]
      code += [0x66, 0xBA, 0x00, 0x06, 0xEF]
    }
    let bare = try BareMachine(code)
    #expect(try bare.nextExit() == "out 0x600 = \(0xC06)")
    #expect(try bare.nextExit() == "out 0x600 = \(0x0606_0606)")
    #expect(try bare.nextExit() == "out 0x600 = 0")
    #expect(try bare.nextExit() == "out 0x600 = \(0x0606_0606)")
  }

  @Test("the BIOS segment is also mapped read-only below 4 GiB, where a processor starts after a reset")
  func resetVector() throws {
    let system = try System()
    let memory = try GuestMemory(size: 2 << 20)
    // mov dx, 600H; mov al, 7; out dx, al; jmp F000:1000
    let code: [UInt8] = [0xBA, 0x00, 0x06, 0xB0, 0x07, 0xEE, 0xEA, 0x00, 0x10, 0x00, 0xF0]
    code.withUnsafeBytes { _ = memory.write($0, at: 0xF_FFF0) }
    // mov al, 8; out dx, al
    ([0xB0, 0x08, 0xEE] as [UInt8]).withUnsafeBytes { _ = memory.write($0, at: 0xF_1000) }
    let machine = try VirtualMachine(system: system, memory: memory)
    let vCPU = try VirtualCPU(machine: machine, index: 0, of: 1)
    let registers = try vCPU.registers()
    #expect(registers.rip == 0xFFF0)
    #expect(try vCPU.systemRegisters().cs.base == 0xFFFF_0000)
    vCPU.adoptCurrentThread()
    for value in [7, 8] as [UInt8] {
      guard case .portIO(0x600, 1, true, let data) = try vCPU.runOnce() else {
        Issue.record("no write of \(value)")
        return
      }
      #expect(data.first == value)
    }
  }
}
