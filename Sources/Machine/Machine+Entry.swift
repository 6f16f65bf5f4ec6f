import Boot
import CLinux
import Failures
import KVM

extension EntryState {
  private enum ControlRegister {
    static let protectionEnable: UInt64 = 1 << 0
    static let extensionType: UInt64 = 1 << 4
    static let paging: UInt64 = 1 << 31
    /// CR4.
    static let physicalAddressExtension: UInt64 = 1 << 5
    /// EFER: long mode enable and active.
    static let longMode: UInt64 = 1 << 8 | 1 << 10
  }

  /// Sets a new vCPU's registers to this state.
  func apply(to vCPU: VirtualCPU) throws(Failure) {
    var system = try vCPU.systemRegisters()
    var general = try vCPU.registers()
    general.rflags = 0x2
    switch self {
    case .protectedMode(let instructionPointer, let startInfo):
      Self.setSegments(&system, code: 0x08, data: 0x10)
      system.cr0 = ControlRegister.protectionEnable | ControlRegister.extensionType
      system.cr4 = 0
      system.efer = 0
      general.rip = UInt64(instructionPointer)
      general.rbx = UInt64(startInfo)
    case .longMode(let instructionPointer, let bootParameters, let pageTables, let descriptors):
      // __BOOT_CS and __BOOT_DS.
      Self.setSegments(&system, code: 0x10, data: 0x18)
      system.cs.l = 1
      system.cs.db = 0
      system.gdt.base = descriptors
      system.gdt.limit = 31
      system.cr3 = pageTables
      system.cr4 = ControlRegister.physicalAddressExtension
      system.efer = ControlRegister.longMode
      system.cr0 = ControlRegister.protectionEnable | ControlRegister.extensionType | ControlRegister.paging
      general.rip = instructionPointer
      general.rsi = bootParameters
    }
    try vCPU.setSystemRegisters(system)
    try vCPU.setRegisters(general)
  }

  private static func setSegments(_ system: inout kvm_sregs, code: UInt16, data: UInt16) {
    system.cs = segment(selector: code, type: 0xB)
    let flat = segment(selector: data, type: 0x3)
    system.ds = flat
    system.es = flat
    system.fs = flat
    system.gs = flat
    system.ss = flat
    var task = segment(selector: data + 8, type: 0xB)
    task.s = 0
    task.limit = 0x67
    task.g = 0
    task.db = 0
    system.tr = task
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
