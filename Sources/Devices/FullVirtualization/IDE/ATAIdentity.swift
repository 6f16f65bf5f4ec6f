import Registers

/// The data of IDENTIFY DEVICE (ATA/ATAPI-6, 8.15).
struct ATAIdentity {
  var model: String
  var serial: String
  var sectorCount: UInt64
  /// The translation after power on.
  var defaultGeometry: ATAGeometry
  var currentGeometry: ATAGeometry
  /// Sectors per block of READ and WRITE MULTIPLE; 0 while these commands are disabled.
  var multiple: Int
  var transferMode: UInt8
  var isWriteCacheEnabled: Bool
  var isLookAheadEnabled: Bool
  var isDrive1: Bool
  var isAlone: Bool

  /// Maximum number of sectors in one block of READ and WRITE MULTIPLE.
  static let maximumMultiple = 16
  /// Ultra DMA modes 0 to 2, and multiword DMA modes 0 to 2. Ultra DMA modes above 2 need an 80-wire cable. The PIIX3
  /// itself stops at multiword DMA 2; Ultra DMA came with the PIIX4.
  static let dmaModes: UInt16 = 0x07

  /// Writes the data to the first 512 bytes of `buffer`.
  func write(to buffer: UnsafeMutableRawBufferPointer) {
    guard buffer.count >= 512 else { return }
    for index in 0..<512 { buffer[index] = 0 }
    func put(_ word: Int, _ value: UInt16) {
      buffer[2 * word] = UInt8(truncatingIfNeeded: value)
      buffer[2 * word + 1] = UInt8(truncatingIfNeeded: value >> 8)
    }
    func put(_ word: Int, _ text: String, words: Int) {
      // The first character of each pair is in the high byte. Spaces fill the rest.
      var bytes = Array(text.utf8.prefix(2 * words)).map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x20 }
      bytes += Array(repeating: 0x20, count: 2 * words - bytes.count)
      for index in 0..<words { put(word + index, UInt16(bytes[2 * index]) << 8 | UInt16(bytes[2 * index + 1])) }
    }
    func put(_ word: Int, _ value: UInt64, words: Int) {
      for index in 0..<words { put(word + index, UInt16(truncatingIfNeeded: value >> UInt64(16 * index))) }
    }
    /// The modes of one kind: the supported ones, and the selected one.
    func modes(_ kind: UInt8) -> UInt16 {
      let selected = transferMode & 0xF8 == kind ? UInt16(1) << UInt16(transferMode & 7) : 0
      return Self.dmaModes | selected << 8
    }
    put(ATAIdentifyWord.configuration, 0x0040)  // a fixed disk
    put(ATAIdentifyWord.cylinders, UInt16(truncatingIfNeeded: defaultGeometry.cylinders))
    put(2, 0xC837)  // spins up without SET FEATURES, and these data are complete
    put(ATAIdentifyWord.heads, UInt16(truncatingIfNeeded: defaultGeometry.heads))
    put(ATAIdentifyWord.sectorsPerTrack, UInt16(truncatingIfNeeded: defaultGeometry.sectorsPerTrack))
    put(ATAIdentifyWord.serialNumber, serial, words: 10)
    put(ATAIdentifyWord.firmwareRevision, "1.0", words: 4)
    put(ATAIdentifyWord.modelNumber, model, words: 20)
    put(ATAIdentifyWord.maximumMultiple, 0x8000 | UInt16(Self.maximumMultiple))
    put(ATAIdentifyWord.capabilities, 1 << 11 | ATAIdentifyBit.lba | ATAIdentifyBit.dma)  // bit 11: IORDY
    put(ATAIdentifyWord.capabilities2, 1 << 14)
    put(ATAIdentifyWord.fieldValidity, 0x0007)  // words 54 to 58, 64 to 70 and 88 are valid
    put(ATAIdentifyWord.currentCylinders, UInt16(truncatingIfNeeded: currentGeometry.cylinders))
    put(ATAIdentifyWord.currentHeads, UInt16(truncatingIfNeeded: currentGeometry.heads))
    put(ATAIdentifyWord.currentSectorsPerTrack, UInt16(truncatingIfNeeded: currentGeometry.sectorsPerTrack))
    put(ATAIdentifyWord.currentCapacity, UInt64(currentGeometry.capacity), words: 2)
    put(ATAIdentifyWord.currentMultiple, multiple > 0 ? 0x0100 | UInt16(truncatingIfNeeded: multiple) : 0)
    put(ATAIdentifyWord.lba28Sectors, min(sectorCount, 0x0FFF_FFFF), words: 2)
    put(ATAIdentifyWord.multiwordDMA, modes(ATATransferMode.multiwordDMA))
    put(ATAIdentifyWord.pioModes, 0x0003)  // PIO 3 and 4
    for word in ATAIdentifyWord.minimumMultiwordCycle...ATAIdentifyWord.minimumPIOCycleWithIORDY { put(word, 120) }
    put(ATAIdentifyWord.majorVersion, 0x0070)  // ATA/ATAPI-4 to 6
    // NOP, look-ahead, write cache and power management; then flushes and 48-bit addresses. Bit 14 marks them valid.
    put(82, 1 << 14 | 1 << 6 | ATAIdentifyBit.writeCache | 1 << 3)
    let lba48 = ATAIdentifyBit.flushCacheExt | ATAIdentifyBit.flushCache | ATAIdentifyBit.lba48
    put(83, 1 << 14 | lba48)
    put(84, 1 << 14)
    let cache = isWriteCacheEnabled ? ATAIdentifyBit.writeCache : 0
    put(85, 1 << 14 | (isLookAheadEnabled ? 1 << 6 : 0) | cache | 1 << 3)
    put(86, lba48)
    put(87, 1 << 14)
    put(ATAIdentifyWord.ultraDMA, modes(ATATransferMode.ultraDMA))
    put(ATAIdentifyWord.hardwareReset, hardwareReset)
    put(ATAIdentifyWord.lba48Sectors, sectorCount, words: 4)
    // Word 255: a signature, and the byte that makes the sum of all 512 bytes 0.
    buffer[510] = 0xA5
    var sum: UInt8 = 0
    for index in 0..<511 { sum = sum &+ buffer[index] }
    buffer[511] = 0 &- sum
  }

  /// Word 93: the drive number was set by jumper, diagnostics passed, and the cable has 40 wires (bit 13 clear).
  /// Drive 0 detected PDIAG- (bit 4) and DASP- (bit 5) of drive 1, or it answers for a missing drive 1 (bit 6).
  private var hardwareReset: UInt16 {
    if isDrive1 { return 0x4B00 }
    return 0x400B | (isAlone ? 0x0040 : 0x0030)
  }
}
