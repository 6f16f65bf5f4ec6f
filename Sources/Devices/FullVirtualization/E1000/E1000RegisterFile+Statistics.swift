import Registers

/// The statistics registers (SDM 13.7): they stick at all ones and are cleared by reading.
extension E1000RegisterFile {
  /// Adds `amount` to the register at `offset`.
  @inline(__always)
  func count(_ offset: UInt32, _ amount: UInt32 = 1) {
    let (sum, overflow) = self[offset].addingReportingOverflow(amount)
    self[offset] = overflow ? ~0 : sum
  }

  /// Adds `octets` to the register pair whose low half is at `offset`.
  func countOctets(_ offset: UInt32, _ octets: UInt64) {
    let (sum, overflow) = (UInt64(self[offset]) | UInt64(self[offset + 4]) << 32).addingReportingOverflow(octets)
    self[offset] = overflow ? ~0 : UInt32(truncatingIfNeeded: sum)
    self[offset + 4] = overflow ? ~0 : UInt32(truncatingIfNeeded: sum >> 32)
  }

  /// Reads a statistic and clears it; the low half of an octet count waits for the high half to be read.
  func readStatistic(_ offset: UInt32) -> UInt32 {
    let value = self[offset]
    switch offset {
    case E1000Statistic.gorcl, E1000Statistic.gotcl, E1000Statistic.torl, E1000Statistic.totl: break
    case E1000Statistic.gorch, E1000Statistic.gotch, E1000Statistic.torh, E1000Statistic.toth:
      self[offset - 4] = 0
      self[offset] = 0
    default: self[offset] = 0
    }
    return value
  }

  /// Which of the six size classes behind PRC64 and PTC64 a packet of `octets` with FCS belongs to.
  static func sizeClass(octets: Int) -> Int {
    switch octets {
    case ...64: return 0
    case ...127: return 1
    case ...255: return 2
    case ...511: return 3
    case ...1023: return 4
    default: return 5
    }
  }
}
