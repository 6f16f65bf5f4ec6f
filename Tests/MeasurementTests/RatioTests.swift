import Testing

@testable import Measurement

@Suite("Ratios of means, with Fieller's interval")
struct RatioTests {
  /// A mean of `count` samples with this standard error.
  private static func measured(_ mean: Double, error: Double, count: Int = 5) -> Measured {
    Measured(
      mean: mean, halfWidth: error * SampleStatistics.studentT(degreesOfFreedom: count - 1), count: count)
  }

  @Test("10 ± 1 to 20 ± 1 with t(4) = 2.776: (200 ± sqrt(40000 - 92.294 * 392.294)) / 392.294")
  func known() throws {
    let ratio = try #require(Ratio(Self.measured(10, error: 1), to: Self.measured(20, error: 1)))
    #expect(ratio.value == 0.5)
    let interval = try #require(ratio.interval)
    #expect(abs(interval.lowerBound - 0.35282) < 1e-4)
    #expect(abs(interval.upperBound - 0.66683) < 1e-4)
    #expect(ratio.isBelowOne == true)
  }

  @Test("an exact denominator divides the interval: 10 ± 2.776 to 20")
  func exactDenominator() throws {
    let ratio = try #require(Ratio(Self.measured(10, error: 1), to: Self.measured(20, error: 0)))
    let interval = try #require(ratio.interval)
    #expect(abs(interval.lowerBound - 0.3612) < 1e-4 && abs(interval.upperBound - 0.6388) < 1e-4)
    let same = try #require(Ratio(Self.measured(10, error: 1), toExact: 20)?.interval)
    #expect(abs(same.lowerBound - 0.3612) < 1e-4 && abs(same.upperBound - 0.6388) < 1e-4)
  }

  @Test("a ratio's interval and that of its inverse end at each other's inverse")
  func inverse() throws {
    let (first, second) = (Self.measured(7, error: 0.5), Self.measured(9, error: 0.75))
    let ratio = try #require(Ratio(first, to: second)?.interval)
    let inverse = try #require(Ratio(second, to: first)?.interval)
    #expect(abs(ratio.lowerBound * inverse.upperBound - 1) < 1e-9)
    #expect(abs(ratio.upperBound * inverse.lowerBound - 1) < 1e-9)
  }

  @Test("the side with fewer samples decides the quantile")
  func fewer() throws {
    let many = Self.measured(20, error: 0, count: 30)
    // t(1) = 12.706.
    let interval = try #require(Ratio(Self.measured(10, error: 0.1, count: 2), to: many)?.interval)
    #expect(abs(interval.upperBound - (10 + 1.2706) / 20) < 1e-9)
  }

  @Test("the interval is unknown where the denominator's includes 0, and for a single sample")
  func unknown() throws {
    let wide = try #require(Ratio(Self.measured(10, error: 1), to: Self.measured(20, error: 8)))
    #expect(wide.value == 0.5 && wide.interval == nil && wide.isBelowOne == nil)
    let single = Measured(mean: 20, halfWidth: nil, count: 1)
    #expect(Ratio(Self.measured(10, error: 1), to: single)?.interval == nil)
    #expect(Ratio(single, to: Self.measured(10, error: 1))?.interval == nil)
  }

  @Test("an interval that would go below 0 ends at 0")
  func notNegative() throws {
    let interval = try #require(Ratio(Self.measured(10, error: 8), to: Self.measured(20, error: 1))?.interval)
    #expect(interval.lowerBound == 0)
  }

  @Test("an interval that includes 1 says neither below nor above")
  func overlap() {
    #expect(Ratio(Self.measured(10, error: 1), to: Self.measured(10.5, error: 1))?.isBelowOne == nil)
    #expect(Ratio(Self.measured(30, error: 1), to: Self.measured(10, error: 1))?.isBelowOne == false)
  }

  @Test("a denominator of 0, and numbers that no measurement has, make no ratio and no trap")
  func degenerate() {
    #expect(Ratio(Self.measured(10, error: 1), to: Self.measured(0, error: 1)) == nil)
    #expect(Ratio(nil, to: Self.measured(1, error: 1)) == nil)
    #expect(Ratio(Self.measured(0, error: 1), to: Self.measured(1, error: 0.1))?.interval == nil)
    let extremes = [0, 1e-308, 1, 1e308, .greatestFiniteMagnitude]
    for first in extremes {
      for second in extremes {
        for error in extremes {
          let measured = Measured(mean: first, halfWidth: error, count: 3)
          let interval = Ratio(measured, to: Measured(mean: second, halfWidth: error, count: 3))?.interval
          #expect(interval.map { $0.lowerBound.isFinite && $0.upperBound.isFinite } ?? true)
        }
      }
    }
  }
}
