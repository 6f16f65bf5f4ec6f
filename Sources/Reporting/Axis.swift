import Foundation

/// Maps values to heights in a plot.
struct Axis {
  struct Tick: Equatable {
    var value: Double
    var label: String
  }

  let isLogarithmic: Bool
  let lowest: Double
  let highest: Double
  let ticks: [Tick]

  /// A linear axis from 0 to a round number at or above `largest`.
  init(linearTo largest: Double) {
    // A file may have any number; these limits keep the arithmetic finite.
    let top = largest > 1e-9 ? min(largest, 1e300) : 1
    let power = pow(10, floor(log10(top / 4)))
    let step = [1.0, 2, 2.5, 5, 10].map { $0 * power }.first { $0 * 5 >= top } ?? 10 * power
    let count = max(1, Int((top / step).rounded(.up)))
    isLogarithmic = false
    lowest = 0
    highest = step * Double(count)
    ticks = (0...count).map { Tick(value: step * Double($0), label: Self.label(step * Double($0))) }
  }

  /// A logarithmic axis between powers of ten around all of `values`, which are positive.
  init(logarithmicAround values: [Double]) {
    // Limits for any number of a file, as above. A comparison with a value that is no number is false.
    let sane = values.map { $0 > 1e-300 ? min($0, 1e300) : 1e-300 }
    let low = floor(log10(sane.min() ?? 1))
    let high = max(low + 1, ceil(log10(sane.max() ?? 10)))
    isLogarithmic = true
    lowest = pow(10, low)
    highest = pow(10, high)
    // With many decades, some have no label of their own.
    let stride = max(1, Int((high - low) / 6))
    ticks = Swift.stride(from: Int(low), through: Int(high), by: stride).map {
      Tick(value: pow(10, Double($0)), label: Self.label(pow(10, Double($0))))
    }
  }

  /// The part of the axis's length at which a value is, from 0 to 1. Values beyond an end are at the end.
  func position(_ value: Double) -> Double {
    let part =
      isLogarithmic
      ? value > 0 ? log10(value / lowest) / log10(highest / lowest) : 0
      : (value - lowest) / (highest - lowest)
    return part.isFinite ? min(1, max(0, part)) : 0
  }

  private static func label(_ value: Double) -> String {
    // %g drops the zeroes behind the point.
    value >= 10_000 ? String(format: "%.0fk", value / 1000) : String(format: "%g", value)
  }
}
