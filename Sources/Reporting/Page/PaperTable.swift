import Foundation
import Measurement

/// The paper's numbers beside ours.
struct PaperTable {
  let figure: Figure

  init(_ figure: Figure) { self.figure = figure }

  /// - Returns: nil if the paper has no numbers.
  func table(_ sources: [SourceReport]) -> PageModel.Table? {
    guard !figure.values.isEmpty else { return nil }
    let host = figure.values.first { $0.mode == .host }
    let references = sources.map { source -> Cluster? in
      let clusters = source.evidence.clusters(of: figure.experiment)
      return clusters.first { figure.isReference($0.parameters) } ?? clusters.first
    }
    let points = Set(references.compactMap { $0?.label }).sorted().joined(separator: ", ")
    let columns =
      ["", "2009"]
      + (sources.count == 1 ? ["today", "today / 2009"] : sources.indices.flatMap { ["report \($0 + 1)", "/ 2009"] })
    let rows = figure.values.map { value in
      PageModel.Table.Row(
        head: value.side,
        cells: [
          "\(value.isExact ? "" : "about ")\(String(format: "%g", value.value)) \(value.unit)\(share(value, host))"
        ]
          + references.flatMap { today(value, $0) })
    }
    return PageModel.Table(
      about: "The paper’s numbers beside ours\(points.isEmpty ? "" : " (\(points))"). Other machine, other program",
      columns: columns, rows: rows)
  }

  private func share(_ value: Figure.PaperValue, _ host: Figure.PaperValue?) -> String {
    guard let host, value.mode != .host, !value.unit.hasPrefix("%") else { return "" }
    return ", \((value.value / host.value).brief) of the host"
  }

  private func today(_ value: Figure.PaperValue, _ cluster: Cluster?) -> [String] {
    guard let cluster, let mode = value.mode, let record = cluster[mode] else { return ["–", "–"] }
    if value.unit.hasPrefix("%") {
      guard let ratio = Ratio(record.measured, to: cluster[.host]?.measured) else { return ["–", "–"] }
      return ["\((ratio.value * 100).brief) \(value.unit)", (ratio.value * 100 / value.value).brief]
    }
    guard let scale = figure.scale, scale.unit == value.unit, scale.recordUnit == record.unit else {
      return ["–", "–"]
    }
    let host = mode == .host ? nil : Ratio(record.measured, to: cluster[.host]?.measured)
    let part = host.map { ", \($0.value.brief) of the host" } ?? ""
    let ratio = Ratio(record.measured, toExact: value.value * scale.divisor)
    return ["\((record.measured.mean / scale.divisor).brief) \(value.unit)\(part)", ratio?.text ?? "–"]
  }

  /// The sides as parts of the host, in 2009 and today.
  ///
  /// - Returns: nil unless the paper has the host and another side, and one report has both today.
  func twin(_ sources: [SourceReport]) -> PageModel.Twin? {
    guard sources.count == 1, let source = sources.first, let host = figure.values.first(where: { $0.mode == .host }),
      figure.values.count > 1
    else { return nil }
    let clusters = source.evidence.clusters(of: figure.experiment)
    let reference = clusters.first { figure.isReference($0.parameters) } ?? clusters.first
    let parts = figure.values.filter { $0.mode != .host }.map { value in
      (
        value, then: value.value / host.value,
        now: value.mode.flatMap { Ratio(reference?[$0]?.measured, to: reference?[.host]?.measured)?.value }
      )
    }
    guard parts.contains(where: { $0.now != nil }) else { return nil }
    let largest = max(1, parts.flatMap { [$0.then, $0.now ?? 0] }.max() ?? 1)
    let rows = parts.enumerated().map { index, part -> PageModel.Twin.Row in
      let top = Double(index) * 36 + 4
      let color = part.0.mode.map { Series($0).style } ?? "host"
      func bar(_ value: Double, _ y: Double, _ style: String, _ year: String) -> PageModel.Twin.Bar {
        let width = (value / largest * 110).rounded2
        return PageModel.Twin.Bar(
          barY: y, barWidth: width, color: style, textX: 100 + width, textY: y + 9, text: "\(value.brief) \(year)")
      }
      let bars =
        [bar(part.then, top, "\(color) then", "in 2009")] + (part.now.map { [bar($0, top + 12, color, "today")] } ?? [])
      return PageModel.Twin.Row(side: part.0.side, sideY: top + (part.now == nil ? 9 : 15), bars: bars)
    }
    return PageModel.Twin(
      twinName: "\(figure.experiment.rawValue)-twin", about: "Parts of the host’s own speed, in 2009 and today",
      height: Double(parts.count) * 36 + 2, twinRows: rows)
  }
}
