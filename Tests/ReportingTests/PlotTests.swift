import Measurement
import Testing

@testable import Reporting

@Suite("The geometry of plots")
struct PlotTests {
  private func plot(_ sides: [SampleReport.Side], largest: Double? = nil) throws -> Plot {
    let clusters = Cluster.clusters(of: try SampleReport.report(sides).results)
    let largest = largest ?? clusters.map(\.largest).max() ?? 0
    return Plot(
      name: "p", title: "title", clusters: clusters, unit: DisplayUnit(clusters[0].unit, largest: largest),
      largest: largest)
  }

  private func bars(_ samples: [[Double]]) throws -> Plot {
    try plot(
      samples.enumerated().map { index, samples in
        SampleReport.Side(
          experiment: "net-send", mode: "PV", samples: samples, parameters: ["frameBytes": 60 + index], exits: 1)
      })
  }

  @Test("a bar's height is in proportion to its mean, and it stands on the base line")
  func heights() throws {
    let plot = try bars([[50e6, 50e6], [100e6, 100e6]])
    #expect(plot.bars.count == 2)
    #expect(plot.bars.allSatisfy { abs($0.y + $0.barHeight - plot.base) < 0.011 })
    #expect(abs(plot.bars[1].barHeight - 2 * plot.bars[0].barHeight) < 0.05)
  }

  @Test("an error bar is symmetric about its mean, and has the width of the interval")
  func whiskers() throws {
    let plot = try bars([[98e6, 100e6, 102e6]])
    let (bar, whisker) = (plot.bars[0], plot.whiskers[0])
    #expect(abs((whisker.top + whisker.bottom) / 2 - bar.y) < 0.02)
    // t(2) = 4.303, s = 2e6, n = 3: 4.97e6 on both sides of 100e6.
    #expect(abs((whisker.bottom - whisker.top) / bar.barHeight - 2 * 4.303 * 2e6 / 3.0.squareRoot() / 100e6) < 0.001)
    #expect(abs((whisker.start + whisker.end) / 2 - whisker.x) < 0.02)
    #expect(abs(bar.x + bar.barWidth / 2 - whisker.x) < 0.02)
  }

  @Test("every sample is a dot at its own height, also an outlier")
  func dots() throws {
    let plot = try bars([[10e6, 10e6, 10e6, 90e6]])
    #expect(plot.dots.count == 4)
    #expect(plot.dots[3].y < plot.bars[0].y && plot.dots[0].y > plot.bars[0].y)
  }

  @Test("nothing is outside the picture, whatever the numbers")
  func inside() throws {
    let samples: [[Double]] = [[0], [1e-9, 1e150], [5, 5000], [1e12, 1e-12, 1], [1e300]]
    for sides in [["FV"], ["host", "FV", "PV"]] {
      for isSweep in [true, false] {
        let plot = try plot(
          samples.enumerated().flatMap { index, samples in
            sides.map { side in
              SampleReport.Side(
                experiment: "disk-read", mode: side, samples: samples,
                parameters: [isSweep ? "blockBytes" : "frameBytes": 4096 << index], exits: 1e9)
            }
          })
        let (xs, ys) = (0...plot.width, 0...plot.height)
        for bar in plot.bars {
          #expect(xs.contains(bar.x) && xs.contains(bar.x + bar.barWidth) && ys.contains(bar.y) && bar.barHeight >= 0)
        }
        for whisker in plot.whiskers {
          #expect(xs.contains(whisker.start) && xs.contains(whisker.end))
          #expect(whisker.top >= 20 && whisker.bottom <= plot.base + 0.01)
        }
        for dot in plot.dots { #expect(xs.contains(dot.x) && (20...plot.base + 0.01).contains(dot.y)) }
        for label in plot.labels + plot.strip { #expect(xs.contains(label.x) && ys.contains(label.y)) }
        #expect(plot.bars.isEmpty == isSweep && plot.curves.isEmpty != isSweep)
      }
    }
  }

  @Test("block sizes make curves, logarithmic if they differ much; each side has its own marker")
  func sweep() throws {
    func sweep(_ rates: [Double]) throws -> Plot {
      try plot(
        zip([4096, 65_536, 1_048_576], rates).flatMap { block, rate in
          ["FV", "PV"].map {
            SampleReport.Side(
              experiment: "disk-write", mode: $0, samples: [rate, rate], parameters: ["blockBytes": block])
          }
        })
    }
    let wide = try sweep([10e6, 100e6, 1000e6])
    #expect(wide.curves.count == 2 && wide.axisTitle.hasSuffix("logarithmic"))
    #expect(wide.labels.map(\.text) == ["4 KiB", "64 KiB", "1 MiB"])
    #expect(wide.curves[0].markers[0].path.contains("a4.5") && !wide.curves[1].markers[0].path.contains("a4.5"))
    #expect(try !sweep([10e6, 11e6, 12e6]).axisTitle.contains("logarithmic"))
  }

  @Test("exits stand beneath each point, and an unknown count is a question mark")
  func strip() throws {
    let plot = try plot([
      SampleReport.Side(experiment: "net-send", mode: "host", samples: [1e6]),
      SampleReport.Side(experiment: "net-send", mode: "FV", samples: [1e6], exits: 4),
    ])
    #expect(plot.strip.map(\.text).suffix(2) == ["FV", "4.00 (16.0)"])
  }
}
