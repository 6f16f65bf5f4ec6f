/// Ports and ISA interrupts of a PC's two IDE channels in compatibility mode (Intel 82371SB datasheet, 2.3; PCI IDE
/// Controller Specification 1.0, 2.1).
public enum ATAPort {
  /// First port of the primary channel's command block.
  public static var primaryCommand: UInt16 { 0x1F0 }
  /// The primary channel's Alternate Status (read) and Device Control (write).
  public static var primaryControl: UInt16 { 0x3F6 }
  public static var secondaryCommand: UInt16 { 0x170 }
  public static var secondaryControl: UInt16 { 0x376 }
  public static var primaryInterrupt: UInt8 { 14 }
  public static var secondaryInterrupt: UInt8 { 15 }
}

/// Registers of the command block, as offsets from its first port (ATA/ATAPI-6, clause 7; "command block").
public enum ATARegister {
  /// Data: the only register that is 16 bits wide.
  public static var data: UInt16 { 0 }
  /// Error (read) and Features (write).
  public static var error: UInt16 { 1 }
  public static var features: UInt16 { 1 }
  /// Sector Count: 0 means 256, or 65536 in a 48-bit command.
  public static var sectorCount: UInt16 { 2 }
  /// LBA bits 7:0, or the sector number of CHS, counted from 1.
  public static var lbaLow: UInt16 { 3 }
  /// LBA bits 15:8, or the cylinder's low byte.
  public static var lbaMid: UInt16 { 4 }
  /// LBA bits 23:16, or the cylinder's high byte.
  public static var lbaHigh: UInt16 { 5 }
  /// Device: selects the drive, LBA or CHS, and LBA bits 27:24 or the head.
  public static var device: UInt16 { 6 }
  /// Status (read, which also lowers INTRQ) and Command (write).
  public static var status: UInt16 { 7 }
  public static var command: UInt16 { 7 }
  /// Ports of the command block.
  public static var size: UInt16 { 8 }
}

/// Bits of Status and Alternate Status (ATA/ATAPI-6, 7.15).
public enum ATAStatus {
  /// The command ended with an error. The Error register has the details.
  public static var error: UInt8 { 1 << 0 }
  /// The drive waits for a read or write of the data register.
  public static var dataRequest: UInt8 { 1 << 3 }
  /// The seek is done: DSC in ATA-3, command dependent in later versions. Drives still set it.
  public static var seekComplete: UInt8 { 1 << 4 }
  public static var deviceFault: UInt8 { 1 << 5 }
  public static var ready: UInt8 { 1 << 6 }
  /// The drive owns the registers. The other bits are not valid.
  public static var busy: UInt8 { 1 << 7 }
}

/// Bits of Error (ATA/ATAPI-6, 7.9 and each command's error outputs).
public enum ATAError {
  /// The drive does not support the command, or not with these parameters.
  public static var abort: UInt8 { 1 << 2 }
  /// The address is not on the drive.
  public static var idNotFound: UInt8 { 1 << 4 }
  public static var uncorrectable: UInt8 { 1 << 6 }
  /// CRC error on the interface, for Ultra DMA.
  public static var interfaceCRC: UInt8 { 1 << 7 }
  /// After a reset or EXECUTE DEVICE DIAGNOSTIC: no error (8.11, diagnostic codes).
  public static var diagnosticPassed: UInt8 { 0x01 }
}

/// Bits of Device (ATA/ATAPI-6, 7.7).
public enum ATADevice {
  /// LBA bits 27:24, or the head.
  public static var headMask: UInt8 { 0x0F }
  /// DEV: device 1 of the channel.
  public static var drive1: UInt8 { 1 << 4 }
  public static var lba: UInt8 { 1 << 6 }
  /// Bits 7 and 5 are obsolete. Old drivers set both.
  public static var obsolete: UInt8 { 0xA0 }
}

/// Bits of Device Control (ATA/ATAPI-6, 7.8).
public enum ATADeviceControl {
  /// nIEN: the drive does not drive INTRQ.
  public static var interruptDisable: UInt8 { 1 << 1 }
  /// SRST: resets both drives while set.
  public static var softwareReset: UInt8 { 1 << 2 }
  /// HOB: the command block shows the previous contents of its two-deep registers.
  public static var highOrderByte: UInt8 { 1 << 7 }
}
