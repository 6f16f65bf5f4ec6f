/// Bus master registers, as offsets from BAR 4 (*Programming Interface for Bus Master IDE Controller*, revision 1.0,
/// 5/16/94, section 2). Add 8 for the secondary channel.
public enum BusMasterIDERegister {
  /// BMIC: command, 8 bits.
  public static var command: UInt16 { 0x0 }
  /// BMIS: status, 8 bits.
  public static var status: UInt16 { 0x2 }
  /// BMIDTP: physical address of the PRD table, 32 bits, dword aligned.
  public static var descriptorTable: UInt16 { 0x4 }
  public static var secondaryChannel: UInt16 { 0x8 }
  /// Ports of both channels.
  public static var size: UInt16 { 16 }
}

/// Bits of BMIC.
public enum BusMasterIDECommand {
  /// Start/Stop Bus Master: 1 starts the engine at the table's first descriptor, 0 stops it.
  public static var start: UInt8 { 1 << 0 }
  /// Read or Write Control: set if the controller writes to memory, so for reads of the drive.
  public static var writesMemory: UInt8 { 1 << 3 }
}

/// Bits of BMIS.
public enum BusMasterIDEStatus {
  /// The engine is active. Cleared by the last transfer of the last region, and by a stop.
  public static var active: UInt8 { 1 << 0 }
  /// A transfer to or from memory failed. Write 1 to clear.
  public static var error: UInt8 { 1 << 1 }
  /// The drive raised INTRQ. Write 1 to clear.
  public static var interrupt: UInt8 { 1 << 2 }
  /// Software sets it for other software: drive 0 is set up for DMA.
  public static var drive0Capable: UInt8 { 1 << 5 }
  public static var drive1Capable: UInt8 { 1 << 6 }
  /// Only one channel can transfer at a time. The PIIX3 never sets it.
  public static var simplex: UInt8 { 1 << 7 }
}

/// A physical region descriptor: 32 bits of address, then 16 of byte count, then flags (1994 specification, 1.2).
public enum BusMasterIDEDescriptor {
  public static var size: Int { 8 }
  /// In the second dword: the byte count, even; 0 means 64 KiB.
  public static var countMask: UInt32 { 0xFFFE }
  /// In the second dword: EOT, the table's last descriptor.
  public static var endOfTable: UInt32 { 1 << 31 }
  /// Bit 0 of a region's address is ignored, so regions start at even addresses.
  public static var addressMask: UInt32 { 0xFFFF_FFFE }
}

/// Configuration registers of the PIIX3's IDE function (Intel 82371SB datasheet, 2.3).
public enum PIIX3IDERegister {
  /// IDETIM of the primary channel, 16 bits.
  public static var primaryTiming: Int { 0x40 }
  /// IDETIM of the secondary channel.
  public static var secondaryTiming: Int { 0x42 }
  /// SIDETIM: timing of the second drives, 8 bits.
  public static var slaveTiming: Int { 0x44 }
  /// IDETIM bit 15: the channel's legacy ports are decoded.
  public static var decodeEnable: UInt16 { 1 << 15 }
}
