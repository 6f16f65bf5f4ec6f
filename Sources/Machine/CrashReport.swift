import CLinux
import KVM

/// Why and where a guest crashed: registers and the last exits of the vCPU that noticed it.
package struct CrashReport: Sendable, CustomStringConvertible {
  package var vCPU: Int
  package var cause: String
  /// Register names and values, in the order of printing; empty if KVM had reset the vCPU.
  package var registers: [(name: String, value: UInt64)]
  /// The last accesses that exited, oldest first, one line each.
  package var lastExits: [String]
  /// Further advice for the user, if any.
  package var hint: String?
  private let wasReset: Bool

  init(vCPU: VirtualCPU, cause: String, log: ExitLog, hint: String? = nil) {
    self.vCPU = vCPU.index
    self.cause = cause
    self.hint = hint
    (registers, wasReset) = Self.registers(of: vCPU)
    lastExits = log.last.map { access in
      let direction = access.isWrite ? "write" : "read "
      let space = access.isPort ? "port" : "mmio"
      let times = access.count > 1 ? " x\(access.count)" : ""
      return "\(direction) \(space) 0x\(hex(access.address)) = 0x\(hex(access.value))\(times)"
    }
  }

  /// Reads the registers, and detects whether KVM has reset the vCPU.
  ///
  /// On SVM the state is undefined after a triple fault, so KVM resets the vCPU before it reports one. After a reset
  /// the processor is at FFFFFFF0H (SDM 3, 9.1.4).
  private static func registers(of vCPU: VirtualCPU) -> ([(name: String, value: UInt64)], wasReset: Bool) {
    guard let general = try? vCPU.registers(), let system = try? vCPU.systemRegisters() else { return ([], false) }
    if general.rip == 0xFFF0, system.cs.base == 0xFFFF_0000 { return ([], true) }
    let values: [(name: String, value: UInt64)] = [
      ("rip", general.rip), ("rflags", general.rflags), ("rsp", general.rsp), ("rbp", general.rbp),
      ("rax", general.rax), ("rbx", general.rbx), ("rcx", general.rcx), ("rdx", general.rdx),
      ("rsi", general.rsi), ("rdi", general.rdi), ("r8", general.r8), ("r9", general.r9),
      ("r10", general.r10), ("r11", general.r11), ("r12", general.r12), ("r13", general.r13),
      ("r14", general.r14), ("r15", general.r15), ("cr0", system.cr0), ("cr2", system.cr2),
      ("cr3", system.cr3), ("cr4", system.cr4), ("efer", system.efer), ("cs", UInt64(system.cs.selector)),
      ("ss", UInt64(system.ss.selector)), ("idt", system.idt.base), ("gdt", system.gdt.base),
    ]
    return (values, false)
  }

  package var description: String {
    var lines = ["guest crashed on vCPU \(vCPU): \(cause)"]
    for start in stride(from: 0, to: registers.count, by: 4) {
      let row = registers[start..<min(start + 4, registers.count)]
      lines.append(
        "  "
          + row.map { register in
            let name = String(repeating: " ", count: max(0, 6 - register.name.utf8.count)) + register.name
            return "\(name) \(hex(register.value, digits: 16))"
          }.joined(separator: "  "))
    }
    if wasReset { lines.append("  no registers: KVM reset the vCPU before it reported the crash, as it does on SVM") }
    lines.append(lastExits.isEmpty ? "  no exits before the crash" : "  last exits, oldest first:")
    lines += lastExits.map { "    \($0)" }
    if let hint { lines.append("  hint: \(hint)") }
    return lines.joined(separator: "\n")
  }
}

func hex(_ value: UInt64, digits: Int = 1) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}
