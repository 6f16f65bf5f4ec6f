import Backends
import Testing

@Suite("Token buckets")
struct TokenBucketTests {
  private static let second: UInt64 = 1_000_000_000

  /// How many units of `size` pass from `begin` on in `duration`, if each is taken as soon as it may be.
  private func passes(_ bucket: inout TokenBucket, size: UInt64, from begin: UInt64, for duration: UInt64) -> UInt64 {
    var now = begin
    var count: UInt64 = 0
    while true {
      now += bucket.delay(now: now)
      guard now < begin + duration else { return count }
      bucket.take(size, now: now)
      count += 1
    }
  }

  @Test(
    "a burst of a tenth of a second passes at once, and then the rate holds exactly", arguments: [10, 1000, 999_983])
  func rate(rate: UInt64) {
    var bucket = TokenBucket(rate: rate)
    #expect(passes(&bucket, size: 1, from: 5, for: 10 * Self.second) == (101 * rate + 9) / 10)
  }

  @Test("after a pause of any length there is one burst again, not more")
  func pause() {
    var bucket = TokenBucket(rate: 1000)
    _ = passes(&bucket, size: 1, from: 0, for: Self.second)
    #expect(passes(&bucket, size: 1, from: 3600 * Self.second, for: 1) == 100)
  }

  @Test("something larger than the burst passes, and what follows waits for it")
  func large() {
    var bucket = TokenBucket(rate: 1000)
    bucket.take(5000, now: 0)
    #expect(bucket.delay(now: 0) == 5 * Self.second - TokenBucket.burst + 1)
    #expect(bucket.delay(now: 5 * Self.second) == 0)
  }

  @Test("no size and no time overflows", arguments: [0, 1, UInt64.max])
  func extremes(value: UInt64) {
    for rate in [0, 1, UInt64.max] {
      var bucket = TokenBucket(rate: rate)
      for now in [0, value, .max] as [UInt64] {
        bucket.take(value, now: now)
        #expect(bucket.delay(now: now) <= .max)
      }
    }
    var slow = TokenBucket(rate: 1)
    slow.take(.max, now: 0)
    #expect(slow.delay(now: 0) <= 3600 * Self.second, "one request costs an hour at most")
  }
}
