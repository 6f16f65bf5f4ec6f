/// The paravirtual panic device (QEMU, docs/specs/pvpanic): one port of event bits.
public enum PanicDeviceRegister {
  public static var port: UInt16 { 0x505 }
  /// PVPANIC_PANICKED: the guest panicked, and the host should act on it.
  public static var panicked: UInt8 { 1 << 0 }
}

/// The port of POST codes, which Linux also writes to pass a microsecond.
public enum PostCodeRegister {
  public static var port: UInt16 { 0x80 }
}

/// System control port A of the PS/2, on PCs port 92.
public enum SystemControlPortA {
  public static var port: UInt16 { 0x92 }
  /// Resets the processor.
  public static var fastInit: UInt8 { 1 << 0 }
  /// Opens address line 20.
  public static var fastA20: UInt8 { 1 << 1 }
}

/// RC, the PIIX3's reset control register (Intel 82371SB datasheet, RC, I/O address 0CF9h): one byte among the
/// configuration ports.
public enum PIIX3ResetControl {
  public static var port: UInt16 { 0xCF9 }
  /// SRST: the reset is a hard one, of the whole system.
  public static var systemReset: UInt8 { 1 << 1 }
  /// RCPU: its rise resets.
  public static var resetCPU: UInt8 { 1 << 2 }
}
