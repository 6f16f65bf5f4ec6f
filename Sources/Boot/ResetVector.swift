import Registers

/// The end of the BIOS segment: the code that a processor runs after a reset, and the usual date and model byte.
///
/// After a reset, a processor starts at FFFFFFF0H, where `VirtualMachine` maps the BIOS segment a second time. With
/// `reboot=b`, Linux jumps to F000:FFF0. There is no firmware that could boot the machine again, so the code writes the
/// reset register, which ends the run.
enum ResetVector {
  /// The address of the code. The vector follows 16 bytes later.
  static let address: UInt64 = 0xF_FFE0
  /// The firmware's date, also for SMBIOS. Linux may ignore the PCI windows of a firmware from before 2008.
  static let date = "01/01/2026"

  static var bytes: [UInt8] { code + vector }

  /// RC resets the machine when RCPU rises, so the code clears RCPU first.
  private static var code: [UInt8] {
    let lowered = PIIX3ResetControl.systemReset
    let raised = lowered | PIIX3ResetControl.resetCPU
    return [0xBA] + little(UInt64(PIIX3ResetControl.port), 2)  // mov dx, 0CF9H
      + [0xB0, lowered, 0xEE]  // mov al, 2; out dx, al
      + [0xB0, raised, 0xEE]  // mov al, 6; out dx, al
      + [0xFA, 0xF4, 0xEB, 0xFC]  // cli; hlt; jmp to the cli
      + [0, 0, 0]
  }

  /// A jump to the code in segment F000H, eight characters of date, and the model byte of an AT.
  private static var vector: [UInt8] {
    let shortDate = date.prefix(6) + date.suffix(2)
    return [0xEA] + little(address & 0xFFFF, 2) + little(0xF000, 2) + Array(shortDate.utf8) + [0, 0xFC, 0]
  }
}
