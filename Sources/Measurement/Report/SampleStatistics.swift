/// Mean and confidence interval of samples.
package struct SampleStatistics: Sendable, Equatable {
  package let mean: Double
  /// Half the width of the 95 % confidence interval by Student's t; nil for a single sample.
  package let ci95: Double?

  package init(_ samples: [Double]) {
    guard !samples.isEmpty else {
      mean = 0
      ci95 = nil
      return
    }
    let count = Double(samples.count)
    let mean = samples.reduce(0, +) / count
    self.mean = mean
    guard samples.count > 1 else {
      ci95 = nil
      return
    }
    let variance = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    ci95 = Self.studentT(degreesOfFreedom: samples.count - 1) * (variance / count).squareRoot()
  }

  /// The 97.5 % quantile of Student's t distribution.
  static func studentT(degreesOfFreedom: Int) -> Double {
    let table = [
      12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ]
    if degreesOfFreedom <= table.count { return table[max(0, degreesOfFreedom - 1)] }
    // Beyond 30, the first term of the expansion around the normal quantile is accurate to three digits.
    return 1.96 + 2.37 / Double(degreesOfFreedom)
  }
}
