/// Ports and settings of ACPI's fixed hardware (ACPI 6.4, 4.8.3): the PM1a registers and the PM timer.
///
/// The device, the ACPI tables and the DSDT all use these numbers.
public enum ACPIFixedRegister {
  /// PM1a_EVT_BLK: PM1 status, then PM1 enable, 16 bits each.
  public static var eventBlock: UInt16 { 0x600 }
  /// Bytes of PM1a_EVT_BLK (PM1_EVT_LEN).
  public static var eventLength: UInt8 { 4 }
  /// PM1a_CNT_BLK: PM1 control, 16 bits.
  public static var controlBlock: UInt16 { 0x604 }
  /// Bytes of PM1a_CNT_BLK (PM1_CNT_LEN).
  public static var controlLength: UInt8 { 2 }
  /// PM_TMR_BLK: the PM timer, 32 bits.
  public static var timerBlock: UInt16 { 0x608 }
  /// Bytes of PM_TMR_BLK (PM_TMR_LEN).
  public static var timerLength: UInt8 { 4 }
  /// Ports from `eventBlock` to the PM timer's last port.
  public static var portCount: UInt8 { 12 }
  /// SCI_INT: the ISA interrupt of the system control interrupt, level-triggered.
  public static var interrupt: UInt16 { 9 }
  /// SLP_TYP of the soft-off state, as in the DSDT's \_S5.
  public static var sleepTypeS5: UInt8 { 5 }
}

/// Bits of PM1 status and PM1 enable (ACPI 6.4, 4.8.3.1.1 and 4.8.3.1.2).
public enum ACPIEvent {
  /// TMR_STS, TMR_EN: the highest bit of the PM timer has changed.
  public static var timer: UInt16 { 1 << 0 }
  /// GBL_STS, GBL_EN: the firmware released the global lock. Never set, because there is no firmware.
  public static var globalLock: UInt16 { 1 << 5 }
  /// PWRBTN_STS, PWRBTN_EN.
  public static var powerButton: UInt16 { 1 << 8 }
  /// RTC_STS, RTC_EN. The status is never set, because the FADT sets FIX_RTC. Linux still needs a writable enable bit.
  public static var clockAlarm: UInt16 { 1 << 10 }
}

/// Bits of PM1 control (ACPI 6.4, 4.8.3.2.1).
public enum ACPIControl {
  /// SCI_EN: events raise an SCI, so ACPI mode is on.
  public static var sciEnable: UInt16 { 1 << 0 }
  /// SLP_TYPx, bits 10 to 12.
  public static var sleepTypeShift: UInt16 { 10 }
  public static var sleepTypeMask: UInt16 { 7 << 10 }
  /// SLP_EN: enters the sleeping state of SLP_TYPx; reads 0.
  public static var sleepEnable: UInt16 { 1 << 13 }
}
