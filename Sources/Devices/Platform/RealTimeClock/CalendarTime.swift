/// A date and time of day in UTC, Gregorian.
struct CalendarTime: Equatable {
  var year: Int64
  /// 1 to 12.
  var month: Int
  /// 1 to 31.
  var day: Int
  var hour: Int
  var minute: Int
  var second: Int

  /// Days before each month, in a year that begins in March.
  private static let daysBefore: [Int64] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337]
  /// Days from 0000-03-01 to 1970-01-01, and in 400 years.
  private static let epoch: Int64 = 719_468
  private static let cycle: Int64 = 146_097

  /// Whole days since 1970-01-01 at `seconds` since then.
  static func days(_ seconds: Int64) -> Int64 { (seconds - floorModulo(seconds, 86400)) / 86400 }

  /// Day of the week at `seconds` since 1970-01-01, which was a Thursday; 0 is Sunday.
  static func weekday(_ seconds: Int64) -> Int { Int(floorModulo(days(seconds) &+ 4, 7)) }

  /// The date and time at `seconds` since 1970-01-01 00:00.
  init(secondsSince1970 seconds: Int64) {
    let ofDay = Int(floorModulo(seconds, 86400))
    (hour, minute, second) = (ofDay / 3600, ofDay / 60 % 60, ofDay % 60)
    // Years are counted from March, so that the leap day is the last day of a year.
    let days = Self.days(seconds) &+ Self.epoch
    let dayOfCycle = floorModulo(days, Self.cycle)
    var yearOfCycle = dayOfCycle / 365
    while Self.daysBefore(year: yearOfCycle) > dayOfCycle { yearOfCycle -= 1 }
    let dayOfYear = dayOfCycle - Self.daysBefore(year: yearOfCycle)
    let march = Self.daysBefore.lastIndex { $0 <= dayOfYear } ?? 0
    day = Int(dayOfYear - Self.daysBefore[march]) + 1
    month = march < 10 ? march + 3 : march - 9
    year = (days - dayOfCycle) / Self.cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0)
  }

  /// Clamps each number to its valid range.
  init(clamping year: Int64, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int, _ second: Int) {
    self.year = min(max(year, 0), 9999)
    self.month = min(max(month, 1), 12)
    let isLeap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0)
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][self.month - 1]
    self.day = min(max(day, 1), days)
    self.hour = min(max(hour, 0), 23)
    self.minute = min(max(minute, 0), 59)
    self.second = min(max(second, 0), 59)
  }

  var secondsSince1970: Int64 {
    let marchYear = month <= 2 ? year - 1 : year
    let yearOfCycle = floorModulo(marchYear, 400)
    let march = month <= 2 ? month + 9 : month - 3
    let days =
      (marchYear - yearOfCycle) / 400 * Self.cycle + Self.daysBefore(year: yearOfCycle) + Self.daysBefore[march]
      + Int64(day - 1) - Self.epoch
    return days * 86400 + Int64(hour * 3600 + minute * 60 + second)
  }

  /// Number of days before year `year` of a 400-year cycle.
  private static func daysBefore(year: Int64) -> Int64 { 365 * year + year / 4 - year / 100 + year / 400 }
}

/// `value` modulo a positive `divisor`, never negative.
func floorModulo(_ value: Int64, _ divisor: Int64) -> Int64 {
  let remainder = value % divisor
  return remainder < 0 ? remainder + divisor : remainder
}
