import Registers

/// The 93C46 Microwire EEPROM of 64 words behind EECD and EERD (SDM 5.4 to 5.6).
///
/// Its contents survive every reset.
struct E1000EEPROM {
  private enum Phase {
    case idle
    /// Shifts in the start bit, two operation bits and six address bits.
    case command(bits: Int, value: UInt16)
    /// Shifts out consecutive words, most significant bit first.
    case reading(address: Int, bit: Int)
    case writing(address: Int, bits: Int, value: UInt16)
    /// `value` is stored when CS falls.
    case programming(address: Int, value: UInt16)
  }

  private(set) var words: [UInt16]
  private var phase = Phase.idle
  private var isWriteEnabled = false
  private var pins: UInt32 = E1000EEPROMControl.flashWriteDisabled
  /// The level of DO; high when the chip drives no data.
  private var output = true

  init(macAddress: [UInt8]) {
    words = Array(repeating: 0xFFFF, count: E1000Limit.eepromWords)
    for index in 0..<3 where macAddress.count == 6 {
      words[index] = UInt16(macAddress[2 * index]) | UInt16(macAddress[2 * index + 1]) << 8
    }
    words[3] = 0
    words[E1000EEPROMWord.control1] = 0x4408
    words[E1000EEPROMWord.subsystem] = E1000Identity.subsystem
    words[E1000EEPROMWord.subsystemVendor] = E1000Identity.vendor
    words[E1000EEPROMWord.device] = E1000Identity.device
    words[E1000EEPROMWord.vendor] = E1000Identity.vendor
    words[E1000EEPROMWord.control2] = 0x3040
    let sum = words.dropLast().reduce(0, &+)
    words[E1000EEPROMWord.checksum] = E1000EEPROMWord.sum &- sum
  }

  /// The values that a reset loads into RAL0 and RAH0 from words 0 to 2.
  var receiveAddress: (low: UInt32, high: UInt32) {
    (UInt32(words[0]) | UInt32(words[1]) << 16, UInt32(words[2]) | E1000ReceiveAddressHigh.valid)
  }

  /// The value of EERD after the guest wrote `value`. The read completes at once.
  func readWord(_ value: UInt32) -> UInt32 {
    guard value & E1000EEPROMRead.start != 0 else { return value & 0xFF00 }
    let address = Int((value >> E1000EEPROMRead.addressShift) & 0xFF)
    let word = address < words.count ? words[address] : 0xFFFF
    return UInt32(word) << E1000EEPROMRead.dataShift | value & 0xFF00 | E1000EEPROMRead.done
  }

  /// The value of EECD: the pins, DO, and a grant whenever the guest requests access.
  var control: UInt32 {
    var value = pins | E1000EEPROMControl.present
    if pins & E1000EEPROMControl.request != 0 { value |= E1000EEPROMControl.grant }
    if output { value |= E1000EEPROMControl.dataOut }
    return value
  }

  /// Drives the pins. The chip samples DI on the rising edge of SK.
  mutating func writeControl(_ value: UInt32) {
    typealias Pin = E1000EEPROMControl
    let before = pins
    pins = value & (Pin.clock | Pin.chipSelect | Pin.dataIn | Pin.flashWriteEnableMask | Pin.request)
    if pins & Pin.chipSelect == 0 {
      if case .programming(let address, let word) = phase, isWriteEnabled { words[address] = word }
      phase = .idle
      output = true
      return
    }
    if before & Pin.clock == 0, pins & Pin.clock != 0 { clock(bit: pins & Pin.dataIn != 0 ? 1 : 0) }
  }

  private mutating func clock(bit: UInt16) {
    switch phase {
    case .idle: if bit == 1 { phase = .command(bits: 1, value: 1) }
    case .command(let bits, let value):
      let value = value << 1 | bit
      if bits + 1 == 9 { start(command: value) } else { phase = .command(bits: bits + 1, value: value) }
    case .reading(let address, let bit):
      output = words[address] >> UInt16(15 - bit) & 1 != 0
      phase =
        bit == 15 ? .reading(address: (address + 1) % words.count, bit: 0) : .reading(address: address, bit: bit + 1)
    case .writing(let address, let bits, let value):
      let value = value << 1 | bit
      phase =
        bits == 15
        ? .programming(address: address, value: value) : .writing(address: address, bits: bits + 1, value: value)
    case .programming: break
    }
  }

  /// Starts a command of nine bits: start, operation, address.
  private mutating func start(command: UInt16) {
    let address = Int(command & 0x3F)
    phase = .idle
    switch command >> 6 & 3 {
    case 2:
      phase = .reading(address: address, bit: 0)
      output = false  // A dummy zero precedes the first word.
    case 1: phase = .writing(address: address, bits: 0, value: 0)
    case 3: phase = .programming(address: address, value: 0xFFFF)
    default:
      // Operation 0: the top two address bits select write enable (3) or write disable (0).
      if address >> 4 == 3 { isWriteEnabled = true } else if address >> 4 == 0 { isWriteEnabled = false }
    }
  }
}
