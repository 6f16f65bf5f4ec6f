import Registers

/// The number format that register B selects: binary or BCD, 24 or 12 hours.
struct ClockFormat {
  let isBinary: Bool
  let has24Hours: Bool

  init(registerB: UInt8) {
    isBinary = registerB & RealTimeClockB.binary != 0
    has24Hours = registerB & RealTimeClockB.hours24 != 0
  }

  /// Encodes `value`, which must be below 100.
  func encode(_ value: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: isBinary ? value : (value / 10) << 4 | value % 10)
  }

  func decode(_ byte: UInt8) -> Int { isBinary ? Int(byte) : Int(byte >> 4) * 10 + Int(byte & 0x0F) }

  func encode(hour: Int) -> UInt8 {
    if has24Hours { return encode(hour) }
    return encode((hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0)
  }

  func decode(hour byte: UInt8) -> Int {
    if has24Hours { return decode(byte) }
    return decode(byte & 0x7F) % 12 + (byte & 0x80 != 0 ? 12 : 0)
  }
}

/// The times of the alarm: hour, minute and second; nil matches any.
struct AlarmPattern {
  private let hour: Int?
  private let minute: Int?
  private let second: Int?

  /// Decodes the alarm bytes; nil if no time matches them.
  init?(hours: UInt8, minutes: UInt8, seconds: UInt8, format: ClockFormat) {
    func find(_ byte: UInt8, _ range: Range<Int>, _ encode: (Int) -> UInt8) -> (isLegal: Bool, value: Int?) {
      if byte >= RealTimeClockRegister.alarmDoNotCare { return (true, nil) }
      let value = range.first { encode($0) == byte }
      return (value != nil, value)
    }
    let hour = find(hours, 0..<24) { format.encode(hour: $0) }
    let minute = find(minutes, 0..<60) { format.encode($0) }
    let second = find(seconds, 0..<60) { format.encode($0) }
    guard hour.isLegal, minute.isLegal, second.isLegal else { return nil }
    (self.hour, self.minute, self.second) = (hour.value, minute.value, second.value)
  }

  /// The first matching second after `time`, at most one day later. Skips whole hours and minutes.
  func next(after time: Int64) -> Int64 {
    var candidate = time &+ 1
    while true {
      let ofDay = Int(floorModulo(candidate, 86400))
      if let hour, hour != ofDay / 3600 {
        candidate &+= Int64(3600 - ofDay % 3600)
      } else if let minute, minute != ofDay / 60 % 60 {
        candidate &+= Int64(60 - ofDay % 60)
      } else if let second, second != ofDay % 60 {
        candidate &+= 1
      } else {
        return candidate
      }
    }
  }
}
