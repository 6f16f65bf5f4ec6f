/// The PC's clock and CMOS memory: a Motorola MC146818A behind an index port (MC146818A datasheet, figures 10 to 15).
public enum RealTimeClockPort {
  /// Selects one of the 128 bytes for `data`. Bit 7 masks NMI.
  public static var index: UInt16 { 0x70 }
  public static var data: UInt16 { 0x71 }
}

/// Bytes that the data port can access.
public enum RealTimeClockRegister {
  public static var seconds: UInt8 { 0x00 }
  public static var secondsAlarm: UInt8 { 0x01 }
  public static var minutes: UInt8 { 0x02 }
  public static var minutesAlarm: UInt8 { 0x03 }
  public static var hours: UInt8 { 0x04 }
  public static var hoursAlarm: UInt8 { 0x05 }
  /// 1 to 7; Sunday is 1.
  public static var dayOfWeek: UInt8 { 0x06 }
  public static var dayOfMonth: UInt8 { 0x07 }
  public static var month: UInt8 { 0x08 }
  /// Year of the century.
  public static var year: UInt8 { 0x09 }
  public static var a: UInt8 { 0x0A }
  public static var b: UInt8 { 0x0B }
  /// Interrupt flags. Reading clears them.
  public static var c: UInt8 { 0x0C }
  public static var d: UInt8 { 0x0D }
  /// The byte in which PCs keep the century. The FADT has its index.
  public static var century: UInt8 { 0x32 }
  /// An alarm byte with this value or a larger one matches any time.
  public static var alarmDoNotCare: UInt8 { 0xC0 }
}

/// Bits of register A.
public enum RealTimeClockA {
  /// UIP: an update starts within 244 us, or is in progress.
  public static var updateInProgress: UInt8 { 1 << 7 }
  /// DV2 and DV1: if both are set, the divider is held in reset.
  public static var dividerReset: UInt8 { 3 << 5 }
  /// DV for a crystal of 32 768 Hz.
  public static var divider32768: UInt8 { 2 << 4 }
  /// RS3 to RS0.
  public static var rateMask: UInt8 { 0x0F }
  /// RS for 1024 Hz, as firmware leaves it.
  public static var rate1024: UInt8 { 6 }
}

/// Bits of register B.
public enum RealTimeClockB {
  /// SET: stops updates, so that software can set the time.
  public static var set: UInt8 { 1 << 7 }
  /// PIE, AIE and UIE enable interrupts by PF, AF and UF of register C.
  public static var periodicInterrupt: UInt8 { 1 << 6 }
  public static var alarmInterrupt: UInt8 { 1 << 5 }
  public static var updateInterrupt: UInt8 { 1 << 4 }
  /// DM: numbers are binary, not BCD.
  public static var binary: UInt8 { 1 << 2 }
  /// 24/12: if set, hours are 0 to 23; otherwise 1 to 12, with bit 7 for PM.
  public static var hours24: UInt8 { 1 << 1 }
  /// DSE: daylight saving time by the US rule of the 1980s.
  public static var daylightSaving: UInt8 { 1 << 0 }
}

/// Bits of register C. PF, AF and UF are at the positions of their enable bits in B.
public enum RealTimeClockC {
  /// IRQF: at least one flag is set and enabled.
  public static var interruptRequest: UInt8 { 1 << 7 }
  public static var periodic: UInt8 { 1 << 6 }
  public static var alarm: UInt8 { 1 << 5 }
  public static var updateEnded: UInt8 { 1 << 4 }
}

/// Register D.
public enum RealTimeClockD {
  /// VRT: time and memory are valid, the battery is good.
  public static var valid: UInt8 { 1 << 7 }
}

/// Bytes of CMOS memory that firmware sets, as SeaBIOS does. Words are little-endian.
public enum CMOSByte {
  /// Types of the floppy drives; 0 means none.
  public static var floppyTypes: Int { 0x10 }
  /// Bit 1: there is a coprocessor.
  public static var equipment: Int { 0x14 }
  /// KiB of memory below 640 KiB.
  public static var baseMemory: Int { 0x15 }
  /// KiB above 1 MiB, at most 65 535.
  public static var extendedMemory: Int { 0x17 }
  /// The sum of bytes 0x10 to 0x2D, high byte first.
  public static var checksum: Int { 0x2E }
  /// `extendedMemory` as measured by the power-on test.
  public static var foundMemory: Int { 0x30 }
  /// Units of 64 KiB above 16 MiB and below 4 GiB.
  public static var highMemory: Int { 0x34 }
  /// Units of 64 KiB above 4 GiB, three bytes.
  public static var veryHighMemory: Int { 0x5B }
}
