import Measurement

/// The unit in which a page shows values, chosen for the largest of them.
struct DisplayUnit: Equatable {
  var name: String
  /// The number of the record's units in one of these.
  var divisor: Double

  init(_ unit: String, largest: Double) {
    let steps: [(name: String, divisor: Double)] =
      switch unit {
      case "bytes/s": [("MB/s", 1e6)]
      case "bytes": [("bytes", 1), ("KiB", 1024), ("MiB", 1_048_576)]
      case "flop/s": [("MFlop/s", 1e6), ("GFlop/s", 1e9)]
      case Figure.amplificationUnit: [(unit, 1)]
      case "ns": [("ns", 1), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)]
      default: [(unit, 1), ("thousand \(unit)", 1e3), ("million \(unit)", 1e6), ("billion \(unit)", 1e9)]
      }
    let chosen = steps.last { largest >= $0.divisor } ?? steps[0]
    (name, divisor) = (chosen.name, chosen.divisor)
  }

  func text(_ value: Double?) -> String { value.map { ($0 / divisor).brief } ?? "–" }
}
