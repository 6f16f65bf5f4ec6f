import Registers

/// The bytes of CMOS memory that hold the time.
enum TimeByte {
  static let all: [UInt8] = [
    RealTimeClockRegister.seconds, RealTimeClockRegister.minutes, RealTimeClockRegister.hours,
    RealTimeClockRegister.dayOfWeek, RealTimeClockRegister.dayOfMonth, RealTimeClockRegister.month,
    RealTimeClockRegister.year, RealTimeClockRegister.century,
  ]

  static func isTime(_ register: UInt8) -> Bool { all.contains(register) }

  /// The value of the byte `register` at `seconds` since 1970, in the format of the state's register B.
  static func encode(_ register: UInt8, at seconds: Int64, _ state: RealTimeClock.State) -> UInt8 {
    let format = ClockFormat(registerB: state.registerB)
    let time = CalendarTime(secondsSince1970: seconds)
    let year = Int(floorModulo(time.year, 10_000))
    switch register {
    case RealTimeClockRegister.seconds: return format.encode(time.second)
    case RealTimeClockRegister.minutes: return format.encode(time.minute)
    case RealTimeClockRegister.hours: return format.encode(hour: time.hour)
    case RealTimeClockRegister.dayOfWeek:
      let weekday = floorModulo(Int64(CalendarTime.weekday(seconds) + state.weekdayShift), 7)
      return format.encode(Int(weekday) + 1)
    case RealTimeClockRegister.dayOfMonth: return format.encode(time.day)
    case RealTimeClockRegister.month: return format.encode(time.month)
    case RealTimeClockRegister.year: return format.encode(year % 100)
    default: return format.encode(year / 100)
    }
  }

  /// Decodes the state's bytes into seconds since 1970, and clamps invalid numbers. The day of the week is 0 for
  /// Sunday, and nil if its byte is invalid.
  static func decode(_ state: RealTimeClock.State) -> (seconds: Int64, weekday: Int?) {
    let format = ClockFormat(registerB: state.registerB)
    func value(_ register: UInt8) -> Int { format.decode(state.bytes[Int(register)]) }
    let year = min(value(RealTimeClockRegister.century), 99) * 100 + min(value(RealTimeClockRegister.year), 99)
    let time = CalendarTime(
      clamping: Int64(year), value(RealTimeClockRegister.month), value(RealTimeClockRegister.dayOfMonth),
      format.decode(hour: state.bytes[Int(RealTimeClockRegister.hours)]), value(RealTimeClockRegister.minutes),
      value(RealTimeClockRegister.seconds))
    let weekday = value(RealTimeClockRegister.dayOfWeek)
    return (time.secondsSince1970, (1...7).contains(weekday) ? weekday - 1 : nil)
  }
}
