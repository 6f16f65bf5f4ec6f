/// The paravirtual panic device (QEMU, docs/specs/pvpanic): one port of event bits.
public enum PanicDeviceRegister {
  public static var port: UInt16 { 0x505 }
  /// PVPANIC_PANICKED: the guest panicked, and the host should act on it.
  public static var panicked: UInt8 { 1 << 0 }
}

/// The port of POST codes. Linux also writes to it for a delay of one microsecond.
public enum PostCodeRegister {
  public static var port: UInt16 { 0x80 }
}

/// System control port A of the PS/2; on PCs this is port 0x92.
public enum SystemControlPortA {
  public static var port: UInt16 { 0x92 }
  /// Resets the processor.
  public static var fastInit: UInt8 { 1 << 0 }
  /// Enables address line 20.
  public static var fastA20: UInt8 { 1 << 1 }
}

/// RC, the PIIX3's reset control register (Intel 82371SB datasheet, RC, I/O address 0CF9h): one byte among the
/// configuration ports.
public enum PIIX3ResetControl {
  public static var port: UInt16 { 0xCF9 }
  /// SRST: selects a hard reset of the whole system.
  public static var systemReset: UInt8 { 1 << 1 }
  /// RCPU: a change from 0 to 1 starts the reset.
  public static var resetCPU: UInt8 { 1 << 2 }
}
