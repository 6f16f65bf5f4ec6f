/// A disk that both machines have.
struct OracleDisk: Sendable {
  var channel: Int
  var drive: Int
  var sectorCount: UInt64
  var serial: String

  /// A small disk, alone on its cable, and a pair; the first of the pair is larger than 28-bit addresses reach.
  static let all = [
    OracleDisk(channel: 0, drive: 0, sectorCount: 16_384, serial: "QM00001"),
    OracleDisk(channel: 1, drive: 0, sectorCount: 0x1000_1000, serial: "QM00002"),
    OracleDisk(channel: 1, drive: 1, sectorCount: 2_048, serial: "QM00003"),
  ]
  /// Sectors at the start of each disk that hold a pattern; the rest is zero.
  static let patterned: UInt64 = 128

  static func initial(_ sector: UInt64) -> [UInt8] {
    guard sector < patterned else { return [UInt8](repeating: 0, count: 512) }
    return (0..<512).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(sector) &* 13 &+ $0 >> 8 &+ 1) }
  }
}

/// The accesses of firmware before a driver runs. Both machines play them after each reset.
enum Firmware {
  /// Nanoseconds of the longest one-shot of the 8254: 65 535 periods of 1 193 182 Hz.
  static let tick: UInt64 = 54_924_600

  /// BAR 0 of the NIC, and the ports of the IDE bus master.
  static let nic: UInt64 = 0xE000_0000
  static let busMaster: UInt64 = 0xC400

  static let steps: [Step] = {
    var script = Script("firmware")
    func configure(_ device: UInt32, _ function: UInt32, _ register: UInt32, _ value: UInt32) {
      script.outl(0xCF8, 0x8000_0000 | device << 11 | function << 8 | register)
      script.outl(0xCFC, value)
    }
    configure(1, 0, 0x60, 0x0B0B_0A0A)  // PIRQRC[A:D]
    configure(1, 1, 0x20, UInt32(busMaster) | 1)
    configure(1, 1, 0x40, 0x8000_8000)  // IDETIM: both channels decode their ports
    configure(1, 1, 0x04, 0x0000_0005)
    configure(4, 0, 0x10, UInt32(nic))
    configure(4, 0, 0x14, 0x0000_C101)
    configure(4, 0, 0x3C, 0x0000_000B)
    configure(4, 0, 0x04, 0x0000_0007)
    return script.steps
  }()
}
