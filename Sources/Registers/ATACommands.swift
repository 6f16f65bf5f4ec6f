/// Command codes (ATA/ATAPI-6, clause 8).
public enum ATACommand: UInt8 {
  case nop = 0x00
  /// DEVICE RESET is for packet devices. A disk aborts it.
  case deviceReset = 0x08
  case recalibrate = 0x10
  case readSectors = 0x20
  /// The obsolete form without retries. Other such forms also differ only in bit 0.
  case readSectorsNoRetry = 0x21
  case readSectorsExt = 0x24
  case readDMAExt = 0x25
  case readMultipleExt = 0x29
  case writeSectors = 0x30
  case writeSectorsNoRetry = 0x31
  case writeSectorsExt = 0x34
  case writeDMAExt = 0x35
  case writeMultipleExt = 0x39
  case readVerifySectors = 0x40
  case readVerifySectorsNoRetry = 0x41
  case readVerifySectorsExt = 0x42
  case seek = 0x70
  case executeDeviceDiagnostic = 0x90
  case initializeDeviceParameters = 0x91
  case packet = 0xA0
  case identifyPacketDevice = 0xA1
  case readMultiple = 0xC4
  case writeMultiple = 0xC5
  case setMultipleMode = 0xC6
  case readDMA = 0xC8
  case readDMANoRetry = 0xC9
  case writeDMA = 0xCA
  case writeDMANoRetry = 0xCB
  case standbyImmediate = 0xE0
  case idleImmediate = 0xE1
  case standby = 0xE2
  case idle = 0xE3
  case checkPowerMode = 0xE5
  case sleep = 0xE6
  case flushCache = 0xE7
  case flushCacheExt = 0xEA
  case identifyDevice = 0xEC
  case setFeatures = 0xEF
}

/// Subcommands of SET FEATURES, written to Features (ATA/ATAPI-6, 8.46).
public enum ATAFeature {
  public static var enableWriteCache: UInt8 { 0x02 }
  /// Sector Count has the mode; see `ATATransferMode`.
  public static var setTransferMode: UInt8 { 0x03 }
  public static var disableReadLookAhead: UInt8 { 0x55 }
  public static var disableRevertToDefaults: UInt8 { 0x66 }
  public static var disableWriteCache: UInt8 { 0x82 }
  public static var enableReadLookAhead: UInt8 { 0xAA }
  public static var enableRevertToDefaults: UInt8 { 0xCC }
}

/// Transfer modes for SET FEATURES 0x03 (ATA/ATAPI-6, table 44): the kind in bits 7:3, the mode in bits 2:0.
public enum ATATransferMode {
  public static var pioDefault: UInt8 { 0x00 }
  public static var pioFlowControl: UInt8 { 0x08 }
  public static var multiwordDMA: UInt8 { 0x20 }
  public static var ultraDMA: UInt8 { 0x40 }
}

/// Words of IDENTIFY DEVICE's answer (ATA/ATAPI-6, 8.15), as indices of 16-bit words.
public enum ATAIdentifyWord {
  public static var configuration: Int { 0 }
  public static var cylinders: Int { 1 }
  public static var heads: Int { 3 }
  public static var sectorsPerTrack: Int { 6 }
  /// 10 words of ASCII, the first character of each pair in the high byte.
  public static var serialNumber: Int { 10 }
  /// 4 words of ASCII.
  public static var firmwareRevision: Int { 23 }
  /// 20 words of ASCII.
  public static var modelNumber: Int { 27 }
  public static var maximumMultiple: Int { 47 }
  public static var capabilities: Int { 49 }
  public static var capabilities2: Int { 50 }
  public static var fieldValidity: Int { 53 }
  public static var currentCylinders: Int { 54 }
  public static var currentHeads: Int { 55 }
  public static var currentSectorsPerTrack: Int { 56 }
  public static var currentCapacity: Int { 57 }
  public static var currentMultiple: Int { 59 }
  /// Two words: the number of sectors that 28-bit commands can address.
  public static var lba28Sectors: Int { 60 }
  public static var multiwordDMA: Int { 63 }
  public static var pioModes: Int { 64 }
  public static var minimumMultiwordCycle: Int { 65 }
  public static var recommendedMultiwordCycle: Int { 66 }
  public static var minimumPIOCycle: Int { 67 }
  public static var minimumPIOCycleWithIORDY: Int { 68 }
  public static var majorVersion: Int { 80 }
  public static var minorVersion: Int { 81 }
  public static var commandSets: Int { 82 }
  public static var commandSetsEnabled: Int { 85 }
  public static var ultraDMA: Int { 88 }
  public static var hardwareReset: Int { 93 }
  /// Four words: the number of sectors that 48-bit commands can address.
  public static var lba48Sectors: Int { 100 }
  public static var integrity: Int { 255 }
}

/// Bits of IDENTIFY DEVICE's words.
public enum ATAIdentifyBit {
  /// Word 49: DMA commands.
  public static var dma: UInt16 { 1 << 8 }
  /// Word 49: LBA addresses.
  public static var lba: UInt16 { 1 << 9 }
  /// Words 82 and 85: the write cache.
  public static var writeCache: UInt16 { 1 << 5 }
  /// Words 83 and 86: 48-bit commands.
  public static var lba48: UInt16 { 1 << 10 }
  /// Words 83 and 86: FLUSH CACHE and FLUSH CACHE EXT.
  public static var flushCache: UInt16 { 1 << 12 }
  public static var flushCacheExt: UInt16 { 1 << 13 }
}
