import Registers

/// The form of a command's sector address.
enum ATAAddressing { case chs, lba28, lba48 }

/// The drive's translation between CHS and LBA (ATA/ATAPI-5, 6.2).
struct ATAGeometry: Equatable {
  var cylinders: UInt32
  var heads: UInt32
  var sectorsPerTrack: UInt32

  /// The default translation: 16 heads, 63 sectors per track, and at most 16 383 cylinders.
  ///
  /// A disk smaller than one such cylinder has fewer heads or sectors, so that no CHS address is past its last sector.
  static func standard(sectorCount: UInt64) -> ATAGeometry {
    let sectors = UInt32(min(63, max(1, sectorCount)))
    let heads = UInt32(min(16, max(1, sectorCount / UInt64(sectors))))
    return ATAGeometry(heads: heads, sectorsPerTrack: sectors, sectorCount: sectorCount)
  }

  /// A translation with as many whole cylinders as fit the disk, at most 16 383; 0 if it has less than one.
  init(heads: UInt32, sectorsPerTrack: UInt32, sectorCount: UInt64) {
    self.heads = max(1, heads)
    self.sectorsPerTrack = max(1, sectorsPerTrack)
    let perCylinder = UInt64(self.heads &* self.sectorsPerTrack)
    cylinders = UInt32(truncatingIfNeeded: min(16_383, sectorCount / perCylinder))
  }

  /// Number of sectors that this translation can address.
  var capacity: UInt32 { cylinders &* heads &* sectorsPerTrack }
}

/// One drive's copy of the registers that a host writes before a command (ATA/ATAPI-6, clause 7).
///
/// Both drives of a channel latch the same writes. Each drive reports its results in its own copy.
struct ATATaskFile {
  /// A register that keeps its previous value: the high-order byte of a 48-bit command (ATA/ATAPI-6, 6.20).
  struct TwoDeep {
    var current: UInt8 = 0
    var previous: UInt8 = 0

    mutating func write(_ value: UInt8) {
      previous = current
      current = value
    }
    var word: UInt16 { UInt16(previous) << 8 | UInt16(current) }
  }

  var features = TwoDeep()
  var sectorCount = TwoDeep()
  var lbaLow = TwoDeep()
  var lbaMid = TwoDeep()
  var lbaHigh = TwoDeep()
  var device: UInt8 = 0

  /// Reads a register, 2 to 6. HOB selects the previous value (ATA/ATAPI-6, 7.8).
  func read(_ register: UInt16, highOrderByte: Bool) -> UInt8 {
    func shown(_ pair: TwoDeep) -> UInt8 { highOrderByte ? pair.previous : pair.current }
    switch register {
    case ATARegister.sectorCount: return shown(sectorCount)
    case ATARegister.lbaLow: return shown(lbaLow)
    case ATARegister.lbaMid: return shown(lbaMid)
    case ATARegister.lbaHigh: return shown(lbaHigh)
    case ATARegister.device: return device | ATADevice.obsolete
    default: return 0xFF
    }
  }

  /// Writes a register, 1 to 6.
  mutating func write(_ register: UInt16, _ value: UInt8) {
    switch register {
    case ATARegister.features: features.write(value)
    case ATARegister.sectorCount: sectorCount.write(value)
    case ATARegister.lbaLow: lbaLow.write(value)
    case ATARegister.lbaMid: lbaMid.write(value)
    case ATARegister.lbaHigh: lbaHigh.write(value)
    case ATARegister.device: device = value
    default: break
    }
  }

  /// Sets the signature of a disk after power-on, a reset or a diagnostic (ATA/ATAPI-6, 9.12).
  mutating func setSignature() {
    sectorCount = TwoDeep(current: 1)
    lbaLow = TwoDeep(current: 1)
    lbaMid = TwoDeep()
    lbaHigh = TwoDeep()
    device = 0
  }

  /// Number of sectors of the command. 0 in the register means 256, or 65 536 for a 48-bit command.
  func sectors(_ addressing: ATAAddressing) -> Int {
    switch addressing {
    case .lba48: return sectorCount.word == 0 ? 65_536 : Int(sectorCount.word)
    case .chs, .lba28: return sectorCount.current == 0 ? 256 : Int(sectorCount.current)
    }
  }

  /// The addressing of a command that is not a 48-bit command: the LBA bit of the device register selects it.
  var shortAddressing: ATAAddressing { device & ATADevice.lba != 0 ? .lba28 : .chs }

  /// The first sector of the command; nil for a CHS address outside the translation.
  func address(_ addressing: ATAAddressing, _ geometry: ATAGeometry) -> UInt64? {
    let low = UInt64(lbaLow.current) | UInt64(lbaMid.current) << 8 | UInt64(lbaHigh.current) << 16
    switch addressing {
    case .lba28: return low | UInt64(device & ATADevice.headMask) << 24
    case .lba48:
      return low | UInt64(lbaLow.previous) << 24 | UInt64(lbaMid.previous) << 32 | UInt64(lbaHigh.previous) << 40
    case .chs:
      let cylinder = UInt32(lbaMid.current) | UInt32(lbaHigh.current) << 8
      let head = UInt32(device & ATADevice.headMask)
      let sector = UInt32(lbaLow.current)
      guard cylinder < geometry.cylinders, head < geometry.heads, sector >= 1, sector <= geometry.sectorsPerTrack
      else { return nil }
      return UInt64((cylinder &* geometry.heads &+ head) &* geometry.sectorsPerTrack &+ sector &- 1)
    }
  }

  /// Reports the sector at which a command failed, and how many sectors were left (the error outputs of clause 8).
  mutating func setAddress(_ lba: UInt64, left: Int, _ addressing: ATAAddressing, _ geometry: ATAGeometry) {
    func byte(_ shift: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: lba >> shift) }
    sectorCount = TwoDeep(current: UInt8(truncatingIfNeeded: left), previous: UInt8(truncatingIfNeeded: left >> 8))
    switch addressing {
    case .lba28, .lba48:
      lbaLow = TwoDeep(current: byte(0), previous: byte(24))
      lbaMid = TwoDeep(current: byte(8), previous: byte(32))
      lbaHigh = TwoDeep(current: byte(16), previous: byte(40))
      if addressing == .lba28 { device = device & ~ATADevice.headMask | byte(24) & ATADevice.headMask }
    case .chs:
      let track = lba / UInt64(geometry.sectorsPerTrack)
      let cylinder = track / UInt64(geometry.heads)
      lbaLow.current = UInt8(truncatingIfNeeded: lba % UInt64(geometry.sectorsPerTrack) + 1)
      lbaMid.current = UInt8(truncatingIfNeeded: cylinder)
      lbaHigh.current = UInt8(truncatingIfNeeded: cylinder >> 8)
      device =
        device & ~ATADevice.headMask | UInt8(truncatingIfNeeded: track % UInt64(geometry.heads)) & ATADevice.headMask
    }
  }
}
