/// A moment by the guest's clock: seconds since 1970, and nanoseconds below 10^9.
struct GuestTime: Equatable {
  private static let second: Int64 = 1_000_000_000
  /// The crystal's cycles in a second: all interrupts fall on one.
  static let ticksPerSecond: Int64 = 32768

  var seconds: Int64
  var nanoseconds: Int64

  /// Carries nanoseconds of any size over into seconds.
  init(seconds: Int64, nanoseconds: Int64) {
    self.nanoseconds = floorModulo(nanoseconds, Self.second)
    self.seconds = seconds &+ (nanoseconds - self.nanoseconds) / Self.second
  }

  /// The moment at which the crystal's cycle `ticks` since 1970 has begun.
  init(ticks: Int64) {
    let rest = ticks & (Self.ticksPerSecond - 1)
    let nanoseconds = (rest * Self.second + Self.ticksPerSecond - 1) / Self.ticksPerSecond
    self.init(seconds: ticks >> 15, nanoseconds: nanoseconds)
  }

  /// Whole cycles of the crystal since 1970.
  var ticks: Int64 {
    seconds &* Self.ticksPerSecond &+ nanoseconds * Self.ticksPerSecond / Self.second
  }

  static func + (time: Self, offset: Self) -> Self {
    Self(seconds: time.seconds &+ offset.seconds, nanoseconds: time.nanoseconds + offset.nanoseconds)
  }

  /// Nanoseconds until `later`, which is at most some days away.
  func distance(to later: Self) -> Int64 {
    (later.seconds &- seconds) &* Self.second &+ later.nanoseconds &- nanoseconds
  }
}
