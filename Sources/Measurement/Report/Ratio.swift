/// A ratio of two measured means, with its 95 % interval by Fieller's theorem.
///
/// The samples of both sides count as independent. Student's t has the degrees of freedom of the side with fewer samples,
/// which is never too narrow.
package struct Ratio: Sendable, Equatable {
  package let value: Double
  /// The interval; nil if a side has no interval, or if the denominator's interval includes 0.
  package let interval: ClosedRange<Double>?

  /// - Returns: nil if a mean is missing or the denominator is 0.
  package init?(_ numerator: Measured?, to denominator: Measured?) {
    guard let numerator, let denominator, denominator.mean > 0, numerator.mean >= 0 else { return nil }
    let quotient = numerator.mean / denominator.mean
    guard quotient.isFinite else { return nil }
    value = quotient
    interval = Self.fieller(numerator, denominator)
  }

  /// The ratio to a number without an interval.
  package init?(_ numerator: Measured?, toExact denominator: Double) {
    guard let numerator, denominator > 0, (numerator.mean / denominator).isFinite else { return nil }
    let quotient = numerator.mean / denominator
    value = quotient
    interval = numerator.halfWidth.flatMap { half in
      let (low, high) = (max(0, quotient - half / denominator), quotient + half / denominator)
      return high.isFinite ? low...high : nil
    }
  }

  /// Solves (a - r b)² = t² (va + r² vb) for r.
  private static func fieller(_ numerator: Measured, _ denominator: Measured) -> ClosedRange<Double>? {
    guard numerator.mean > 0, let first = numerator.standardError, let second = denominator.standardError else {
      return nil
    }
    let t = SampleStatistics.studentT(degreesOfFreedom: min(numerator.count, denominator.count) - 1)
    // Divided by the means, the numbers stay near 1, and cannot overflow.
    let relativeFirst = t * first / numerator.mean
    let relativeSecond = t * second / denominator.mean
    let (f, g) = (relativeFirst * relativeFirst, relativeSecond * relativeSecond)
    guard g < 1, f.isFinite else { return nil }
    let root = max(0, 1 - (1 - f) * (1 - g)).squareRoot()
    let quotient = numerator.mean / denominator.mean
    // A rate is not negative, so the interval ends at 0.
    let (low, high) = (max(0, quotient * (1 - root) / (1 - g)), quotient * (1 + root) / (1 - g))
    return low <= high && high.isFinite ? low...high : nil
  }

  /// Whether the interval lies wholly below 1, or wholly above. Nil if it includes 1 or is unknown.
  package var isBelowOne: Bool? {
    guard let interval else { return nil }
    if interval.upperBound < 1 { return true }
    return interval.lowerBound > 1 ? false : nil
  }
}

/// A measured mean with its 95 % interval by Student's t.
package struct Measured: Sendable, Equatable {
  package let mean: Double
  /// Half the width of the interval; nil if it is unknown.
  package let halfWidth: Double?
  package let count: Int

  package init(mean: Double, halfWidth: Double?, count: Int) {
    (self.mean, self.halfWidth, self.count) = (mean, count > 1 ? halfWidth : nil, count)
  }

  package var standardError: Double? {
    halfWidth.map { $0 / SampleStatistics.studentT(degreesOfFreedom: count - 1) }
  }
}

extension Record {
  /// The record's main value, in its own unit.
  package var measured: Measured {
    if let throughput {
      return Measured(mean: throughput.mean, halfWidth: throughput.ci95, count: throughput.samples.count)
    }
    if let latency {
      return Measured(mean: latency.p50, halfWidth: latency.ci95, count: latency.samples?.count ?? 0)
    }
    return Measured(mean: size?.mean ?? 0, halfWidth: nil, count: 0)
  }

  /// Each sample of the main value; empty where the report has none.
  package var samples: [Double] { throughput?.samples ?? latency?.samples ?? [] }

  package var unit: String { throughput?.unit ?? latency?.unit ?? size?.unit ?? "" }
}
