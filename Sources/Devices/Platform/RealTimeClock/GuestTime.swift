/// A time of the guest's clock: seconds since 1970, and nanoseconds below 10^9.
struct GuestTime: Equatable {
  private static let second: Int64 = 1_000_000_000
  /// The crystal's frequency in Hz. All interrupts are due at the start of a cycle.
  static let ticksPerSecond: Int64 = 32768

  var seconds: Int64
  var nanoseconds: Int64

  /// Normalizes `nanoseconds`, which may be negative or more than a second.
  init(seconds: Int64, nanoseconds: Int64) {
    self.nanoseconds = floorModulo(nanoseconds, Self.second)
    self.seconds = seconds &+ (nanoseconds - self.nanoseconds) / Self.second
  }

  /// The start of the crystal's cycle `ticks` since 1970, rounded up to a nanosecond.
  init(ticks: Int64) {
    let rest = ticks & (Self.ticksPerSecond - 1)
    let nanoseconds = (rest * Self.second + Self.ticksPerSecond - 1) / Self.ticksPerSecond
    self.init(seconds: ticks >> 15, nanoseconds: nanoseconds)
  }

  /// Number of whole cycles of the crystal since 1970.
  var ticks: Int64 {
    seconds &* Self.ticksPerSecond &+ nanoseconds * Self.ticksPerSecond / Self.second
  }

  static func + (time: Self, offset: Self) -> Self {
    Self(seconds: time.seconds &+ offset.seconds, nanoseconds: time.nanoseconds + offset.nanoseconds)
  }

  /// Nanoseconds until `later`, which must be less than 292 years away.
  func distance(to later: Self) -> Int64 {
    (later.seconds &- seconds) &* Self.second &+ later.nanoseconds &- nanoseconds
  }
}
