import Testing

@testable import Measurement

@Suite("Mean and 95 % interval by Student's t")
struct SampleStatisticsTests {
  @Test("a known sample")
  func known() throws {
    let statistics = SampleStatistics([1, 2, 3, 4, 5])
    #expect(statistics.mean == 3)
    // t(4) = 2.776, s = 1.5811, n = 5.
    #expect(abs(try #require(statistics.ci95) - 1.963) < 0.001)
  }

  @Test("two samples: t(1) = 12.706, and half their distance is s / sqrt n")
  func two() throws {
    let statistics = SampleStatistics([10, 12])
    #expect(statistics.mean == 11)
    #expect(abs(try #require(statistics.ci95) - 12.706) < 1e-9)
  }

  @Test("equal samples have an interval of 0, a single sample has none, and no samples have a mean of 0")
  func degenerate() {
    #expect(SampleStatistics([7, 7, 7]) == SampleStatistics([7, 7, 7, 7]))
    #expect(SampleStatistics([7, 7, 7]).ci95 == 0)
    #expect(SampleStatistics([7]).mean == 7)
    #expect(SampleStatistics([7]).ci95 == nil)
    #expect(SampleStatistics([]).mean == 0)
    #expect(SampleStatistics([]).ci95 == nil)
  }

  @Test(
    "the 97.5 % quantile matches printed tables",
    arguments: [
      (1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (10, 2.228), (20, 2.086), (29, 2.045), (30, 2.042), (40, 2.021),
      (60, 2.000), (120, 1.980), (1000, 1.962),
    ])
  func quantile(degrees: Int, value: Double) {
    #expect(abs(SampleStatistics.studentT(degreesOfFreedom: degrees) - value) < 0.003)
  }
}
