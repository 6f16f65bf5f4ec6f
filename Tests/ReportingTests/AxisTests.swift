import Testing

@testable import Reporting

@Suite("Axes")
struct AxisTests {
  @Test(
    "a linear axis begins at 0 and ends at a round number above the largest value",
    arguments: [
      (99.0, ["0", "20", "40", "60", "80", "100"]), (100, ["0", "20", "40", "60", "80", "100"]),
      (0.3, ["0", "0.1", "0.2", "0.3"]), (7, ["0", "2", "4", "6", "8"]), (38_000, ["0", "10k", "20k", "30k", "40k"]),
      (0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    ] as [(Double, [String])])
  func linear(largest: Double, labels: [String]) {
    let axis = Axis(linearTo: largest)
    #expect(axis.ticks.map(\.label) == labels)
    #expect(axis.position(0) == 0 && axis.highest >= largest)
    #expect(axis.position(axis.highest / 2) == 0.5)
  }

  @Test("a logarithmic axis ends at powers of ten, and a tenth is always as far")
  func logarithmic() {
    let axis = Axis(logarithmicAround: [18, 1964])
    #expect(axis.ticks.map(\.label) == ["10", "100", "1000", "10k"])
    #expect(abs(axis.position(100) - 1.0 / 3) < 1e-9)
    #expect(axis.position(0) == 0 && axis.position(1e9) == 1)
  }

  @Test("no number of a file makes a trap or a position outside the axis")
  func extremes() {
    let values = [0, 5e-324, 1e-300, 1, 1e300, .greatestFiniteMagnitude, .infinity, .nan]
    for first in values {
      for second in values {
        #expect((0...1).contains(Axis(linearTo: first).position(second)))
        #expect((0...1).contains(Axis(logarithmicAround: [max(first, 5e-324), 1]).position(second)))
      }
    }
  }
}
