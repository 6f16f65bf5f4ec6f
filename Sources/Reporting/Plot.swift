import Measurement

/// The geometry of a plot, in the units of its viewBox. The template `TemplateText.plot` draws it.
///
/// Every sample is a dot, so outliers are visible. The exits of each point are written beneath it.
struct Plot {
  struct Bar {
    var x, y, barWidth, barHeight: Double
    var color: String
    /// The tooltip.
    var hint: String
  }

  /// A 95 % interval: a vertical line with a short line at each end.
  struct Whisker {
    var x, top, bottom, start, end: Double
  }

  struct Dot {
    var x, y: Double
  }

  struct Curve {
    var points: String
    var color: String
    var markers: [Marker]
  }

  struct Marker {
    var path: String
    var hint: String
  }

  struct Label {
    var x, y: Double
    var text: String
    var color = ""
  }

  struct Grid {
    var y: Double
    var text: String
  }

  /// The identifier in the page. Labels of the picture refer to it.
  var name: String
  var title: String
  /// A sentence for readers who do not see the picture.
  var summary: String
  var width: Double
  var height: Double
  var left: Double
  var right: Double
  /// The right edge of the axis's numbers.
  var tickX: Double
  var base: Double
  var axisTitle: String
  var grid: [Grid]
  var bars: [Bar] = []
  var curves: [Curve] = []
  var whiskers: [Whisker] = []
  var dots: [Dot] = []
  var labels: [Label] = []
  var strip: [Label] = []

  private static let top = 26.0
  private static let area = 200.0
  private static let barWidth = 28.0

  /// - Parameters:
  ///   - clusters: the points, which share a unit.
  ///   - largest: the largest value of all plots that share this scale.
  init(name: String, title: String, clusters: [Cluster], unit: DisplayUnit, largest: Double) {
    self.name = name
    self.title = title
    let isSweep = Self.isSweep(clusters)
    let series = Array(Set(clusters.flatMap(\.series))).sorted()
    let records = clusters.flatMap { cluster in cluster.series.compactMap { cluster[$0] } }
    let values = records.flatMap { $0.samples + [$0.measured.mean] }.map { $0 / unit.divisor }
    let axis = Self.axis(values, largest: largest / unit.divisor, isSweep: isSweep)
    let base = Self.top + Self.area
    // The names of the sides stand left of the axis, beside their counts.
    let margin = series.contains(where: \.isPeer) ? 68.0 : 50
    (left, tickX, self.base) = (margin, margin - 6, base)
    axisTitle = unit.name + (axis.isLogarithmic ? ", logarithmic" : "")
    grid = axis.ticks.map { tick in
      Grid(y: (base - axis.position(tick.value) * Self.area).rounded2, text: tick.label)
    }
    summary = "\(series.map(\.name).joined(separator: ", ")) for \(clusters.map(\.label).joined(separator: ", "))."
    // A cluster is at least as wide as its label and the counts beneath it.
    let longest = clusters.map { Double($0.label.count) * 6.6 }.max() ?? 0
    let column = max(isSweep ? 94 : Double(series.count) * Self.barWidth + 20, longest + 10, 66)
    width = (margin + column * Double(clusters.count) + 8).rounded2
    right = width - 8
    height = base + 26
    let scene = Scene(clusters: clusters, series: series, unit: unit, axis: axis, left: margin, column: column)
    if isSweep { drawCurves(scene) } else { drawBars(scene) }
    for (index, cluster) in clusters.enumerated() {
      labels.append(Label(x: scene.center(index).rounded2, y: base + 17, text: cluster.label))
    }
    drawStrip(scene)
  }

  private struct Scene {
    var clusters: [Cluster]
    var series: [Series]
    var unit: DisplayUnit
    var axis: Axis
    var left: Double
    var column: Double

    func center(_ index: Int) -> Double { left + column * (Double(index) + 0.5) }
    func y(_ value: Double) -> Double {
      (Plot.top + Plot.area - axis.position(value / unit.divisor) * Plot.area).rounded2
    }

    func hint(_ cluster: Cluster, _ series: Series, _ record: Record) -> String {
      let measured = record.measured
      let interval = measured.halfWidth.map { " ± \(unit.text($0))" } ?? ""
      return "\(series.name), \(cluster.label): \(unit.text(measured.mean))\(interval) \(unit.name)"
    }
  }

  /// Whether the points are one sweep over block sizes, as in the paper's figure 4.
  private static func isSweep(_ clusters: [Cluster]) -> Bool {
    let blocks = clusters.compactMap(\.parameters.blockBytes)
    return blocks.count == clusters.count && blocks.count >= 3 && zip(blocks, blocks.dropFirst()).allSatisfy { $0 < $1 }
  }

  private static func axis(_ values: [Double], largest: Double, isSweep: Bool) -> Axis {
    let (low, high) = (values.min() ?? 0, values.max() ?? 0)
    // Bars begin at 0, so only curves can have a logarithmic axis.
    if isSweep, low > 0, high / low > 20 { return Axis(logarithmicAround: values) }
    return Axis(linearTo: max(largest, high))
  }

  private mutating func drawBars(_ scene: Scene) {
    for (index, cluster) in scene.clusters.enumerated() {
      // Series that this cluster lacks leave no hole.
      let present = cluster.series
      let start = scene.center(index) - Double(present.count) * Self.barWidth / 2
      for (place, series) in present.enumerated() {
        guard let record = cluster[series] else { continue }
        let x = start + Double(place) * Self.barWidth
        let y = scene.y(record.measured.mean)
        bars.append(
          Bar(
            x: (x + 2).rounded2, y: y, barWidth: Self.barWidth - 4, barHeight: (base - y).rounded2,
            color: series.style,
            hint: scene.hint(cluster, series, record)))
        addInterval(scene, record, x: x + Self.barWidth / 2, spread: 14)
      }
    }
  }

  private mutating func drawCurves(_ scene: Scene) {
    for (place, series) in scene.series.enumerated() {
      var corners: [String] = []
      var markers: [Marker] = []
      // Moved apart a little, so that the intervals of one block size do not cover each other.
      let shift = (Double(place) - Double(scene.series.count - 1) / 2) * 9
      for (index, cluster) in scene.clusters.enumerated() {
        guard let record = cluster[series] else { continue }
        let (x, y) = ((scene.center(index) + shift).rounded2, scene.y(record.measured.mean))
        corners.append("\(x),\(y)")
        markers.append(Marker(path: Self.marker(series.mode, x, y), hint: scene.hint(cluster, series, record)))
        addInterval(scene, record, x: x, spread: 5)
      }
      curves.append(Curve(points: corners.joined(separator: " "), color: series.style, markers: markers))
    }
  }

  /// The outline of `Series.glyph`.
  private static func marker(_ mode: Record.Mode, _ x: Double, _ y: Double) -> String {
    switch mode {
    case .host: "M\((x - 4).rounded2) \((y - 4).rounded2)h8v8h-8z"
    case .fullVirtualization: "M\((x - 4.5).rounded2) \(y)a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z"
    case .paravirtualization: "M\(x) \((y - 5.5).rounded2)l5.5 9.5h-11z"
    case .guest: "M\(x) \((y - 5.5).rounded2)l5.5 5.5l-5.5 5.5l-5.5 -5.5z"
    }
  }

  private mutating func addInterval(_ scene: Scene, _ record: Record, x: Double, spread: Double) {
    let measured = record.measured
    let samples = record.samples
    for (index, sample) in samples.enumerated() {
      // Side by side, in the order of time.
      let offset = samples.count > 1 ? (Double(index) / Double(samples.count - 1) - 0.5) * spread : 0
      dots.append(Dot(x: (x + offset).rounded2, y: scene.y(sample)))
    }
    guard let half = measured.halfWidth, half > 0 else { return }
    whiskers.append(
      Whisker(
        x: x.rounded2, top: scene.y(measured.mean + half), bottom: scene.y(measured.mean - half),
        start: (x - 5).rounded2, end: (x + 5).rounded2))
  }

  /// Writes the exits of each operation beneath its point, with one line for each side that has a count.
  private mutating func drawStrip(_ scene: Scene) {
    let counted = scene.series.filter { series in
      scene.clusters.contains { $0[series]?.perOperation.exits != nil || $0[series]?.perOperation.kernelExits != nil }
    }
    guard !counted.isEmpty else { return }
    strip.append(
      Label(x: 4, y: base + 40, text: "exits per operation (and with those that the kernel serves)", color: "head"))
    for (line, series) in counted.enumerated() {
      let y = base + 56 + Double(line) * 15
      strip.append(Label(x: left - 6, y: y, text: series.name, color: "row"))
      for (index, cluster) in scene.clusters.enumerated() {
        guard let counts = cluster[series]?.perOperation else { continue }
        let text = "\(counts.exits?.brief ?? "?") (\(counts.kernelExits?.brief ?? "?"))"
        strip.append(Label(x: scene.center(index).rounded2, y: y, text: text))
      }
    }
    height = base + 62 + Double(counted.count) * 15
    width = max(width, 356)
  }
}

extension Double {
  /// Rounded to two digits, so that a page has no long numbers.
  var rounded2: Double { isFinite ? (self * 100).rounded() / 100 : 0 }
}
