import Boot
import CLinux
import Failures
import KVM

extension EntryState {
  /// Puts a fresh vCPU into 32-bit protected mode as PVH asks: flat segments, paging and interrupts off.
  func apply(to vCPU: VirtualCPU) throws(Failure) {
    var system = try vCPU.systemRegisters()
    let code = Self.segment(selector: 0x08, type: 0xB)
    let data = Self.segment(selector: 0x10, type: 0x3)
    system.cs = code
    system.ds = data
    system.es = data
    system.fs = data
    system.gs = data
    system.ss = data
    var task = Self.segment(selector: 0x18, type: 0xB)
    task.s = 0
    task.limit = 0x67
    task.g = 0
    task.db = 0
    system.tr = task
    system.cr0 = 0x11  // PE, ET
    system.cr4 = 0
    system.efer = 0
    try vCPU.setSystemRegisters(system)
    var general = try vCPU.registers()
    general.rip = UInt64(instructionPointer)
    general.rbx = UInt64(startInfo)
    general.rflags = 0x2
    try vCPU.setRegisters(general)
  }

  private static func segment(selector: UInt16, type: UInt8) -> kvm_segment {
    var segment = kvm_segment()
    segment.base = 0
    segment.limit = 0xFFFF_FFFF
    segment.selector = selector
    segment.type = type
    segment.present = 1
    segment.db = 1
    segment.s = 1
    segment.g = 1
    return segment
  }
}
