/// A token bucket: so many units a second on average, and a burst of a tenth of a second's worth.
///
/// It counts in time. Each unit costs a second divided by the rate, and may be taken as long as the debt is less than the
/// burst. Something larger than the burst passes too, and leaves a debt that what follows has to wait for.
public struct TokenBucket: Sendable {
  /// As long as QEMU's default burst, in nanoseconds.
  public static let burst: UInt64 = 100_000_000
  private static let second: UInt64 = 1_000_000_000
  private static let mostExpensive = 3600 * second

  /// Units a second; at least 1.
  public let rate: UInt64
  /// When all that was taken is paid, by the loop's clock.
  private var paid: UInt64 = 0
  /// What is left over of the last division by the rate, so that the rate is exact.
  private var remainder: UInt64 = 0

  public init(rate: UInt64) { self.rate = max(1, rate) }

  /// Nanoseconds until the next unit may be taken; 0 if it may be now.
  public func delay(now: UInt64) -> UInt64 {
    let limit = now.addingReportingOverflow(Self.burst - 1).partialValue
    return paid > limit ? paid - limit : 0
  }

  /// Takes `units`, whether they may be taken now or not.
  public mutating func take(_ units: UInt64, now: UInt64) {
    let product = units.multipliedFullWidth(by: Self.second)
    let (low, carry) = product.low.addingReportingOverflow(remainder)
    let high = product.high + (carry ? 1 : 0)
    // A guest could otherwise buy a pause of centuries with one frame. An hour is more than any rate allows in a burst.
    var cost = Self.mostExpensive
    if high < rate {
      let quotient: UInt64
      (quotient, remainder) = rate.dividingFullWidth((high, low))
      cost = min(quotient, Self.mostExpensive)
    }
    let (sum, overflow) = max(paid, now).addingReportingOverflow(cost)
    paid = overflow ? .max : sum
  }
}

/// The limits of a disk or of one direction of a NIC.
struct RateLimiter {
  private var operations: TokenBucket?
  private var bytes: TokenBucket?

  /// - Parameters:
  ///   - operations: requests a second; nil for any number.
  ///   - bytes: bytes a second; nil for any number.
  init(operations: UInt64? = nil, bytes: UInt64? = nil) {
    self.operations = operations.map { TokenBucket(rate: $0) }
    self.bytes = bytes.map { TokenBucket(rate: $0) }
  }

  /// Nanoseconds until the next operation may begin; 0 if it may now.
  func delay(now: UInt64) -> UInt64 { max(operations?.delay(now: now) ?? 0, bytes?.delay(now: now) ?? 0) }

  /// Takes one operation with `count` bytes.
  mutating func take(_ count: UInt64, now: UInt64) {
    operations?.take(1, now: now)
    bytes?.take(count, now: now)
  }
}
