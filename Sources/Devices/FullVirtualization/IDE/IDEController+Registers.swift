import Bus
import Registers

/// Register accesses, on vCPU threads.
extension IDEController {
  /// Numbers of the ranges besides BAR 4: four blocks of legacy ports.
  enum Region {
    /// The command block of channel n is 10 + 2n, the control block 11 + 2n.
    static var legacy: Int { 10 }
  }

  /// The channel of a legacy range, and whether the range is its control block.
  private func legacyChannel(_ region: Int) -> (number: Int, isControl: Bool)? {
    guard region >= Region.legacy else { return nil }
    let index = region - Region.legacy
    return (index >> 1 & 1, index & 1 == 1)
  }

  /// The channel whose data register is accessed; nil for another register.
  func dataChannel(_ access: BusAccess) -> Int? {
    guard access.offset == 0, let (number, isControl) = legacyChannel(access.region), !isControl else { return nil }
    return number
  }

  /// The register's name, from ATA/ATAPI-6, clause 7, or for the bus master from the 82371SB datasheet.
  static func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    guard access.region >= Region.legacy else {
      let names = ["BMIC", nil, "BMIS", nil, "BMIDTP", "BMIDTP", "BMIDTP", "BMIDTP"]
      return names[Int(access.offset & 7)]
    }
    guard (access.region - Region.legacy) & 1 == 0 else { return isWrite ? "Device Control" : "Alternate Status" }
    let names = ["Data", "Error", "Sector Count", "LBA Low", "LBA Mid", "LBA High", "Device", "Status"]
    switch (access.offset, isWrite) {
    case (1, true): return "Features"
    case (7, true): return "Command"
    case (0..<8, _): return names[Int(access.offset)]
    default: return nil
    }
  }

  func readElement(_ access: BusAccess) -> UInt64 {
    guard let (number, isControl) = legacyChannel(access.region) else { return readBusMaster(access) }
    return self.access(number) { channel in
      var value: UInt64 = 0
      if !isControl, access.offset == 0 {
        withUnsafeMutableBytes(of: &value) { bytes in
          channel.readData(into: UnsafeMutableRawBufferPointer(rebasing: bytes[0..<min(access.width, 8)]))
        }
        return value
      }
      // A wider access to 8-bit registers is split into accesses to consecutive ports.
      for index in 0..<access.width {
        let register = UInt16(truncatingIfNeeded: access.offset) &+ UInt16(index)
        let byte: UInt8
        if isControl {
          byte = register == 0 ? channel.status : 0xFF
        } else {
          byte = register < ATARegister.size ? channel.readCommandBlock(register) : 0xFF
        }
        value |= UInt64(byte) << UInt64(8 * index)
      }
      return value
    }
  }

  func writeElement(_ access: BusAccess, _ value: UInt64) {
    guard let (number, isControl) = legacyChannel(access.region) else { return writeBusMaster(access, value) }
    // A command may start the engine, so it must see earlier writes of BMIC.
    let last = access.offset &+ UInt64(access.width)
    let isCommand = !isControl && last > UInt64(ATARegister.command)
    self.access(number, looksAtEngine: isCommand) { channel in
      if !isControl, access.offset == 0 {
        withUnsafeBytes(of: value) { bytes in
          channel.writeData(from: UnsafeRawBufferPointer(rebasing: bytes[0..<min(access.width, 8)]))
        }
        return
      }
      for index in 0..<access.width {
        let register = UInt16(truncatingIfNeeded: access.offset) &+ UInt16(index)
        let byte = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        if isControl {
          if register == 0 { channel.writeControl(byte) }
        } else if register < ATARegister.size {
          channel.writeCommandBlock(register, byte)
        }
      }
    }
  }

  /// The channel whose bus master engine has the port, and the port's offset in it.
  private func engine(_ access: BusAccess, _ index: Int) -> (number: Int, offset: UInt16) {
    let port = UInt16(truncatingIfNeeded: access.offset) &+ UInt16(index)
    return (Int(port >> 3 & 1), port & 7)
  }

  private func readBusMaster(_ access: BusAccess) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<access.width {
      let (number, offset) = engine(access, index)
      let byte = self.access(number, looksAtEngine: true) { $0.engine.read(offset) }
      value |= UInt64(byte) << UInt64(8 * index)
    }
    return value
  }

  private func writeBusMaster(_ access: BusAccess, _ value: UInt64) {
    for index in 0..<access.width {
      let (number, offset) = engine(access, index)
      let byte = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
      self.access(number, looksAtEngine: true) { $0.writeEngine(offset, byte) }
    }
  }
}
