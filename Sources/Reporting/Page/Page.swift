import Failures
import Foundation
import Measurement
import Mustache

/// A page of HTML about one report, or about several side by side. It needs neither a network nor a script.
package struct Page {
  let model: PageModel

  /// - Parameter names: the names of the reports' files, to tell equal hosts and versions apart.
  package init(_ reports: [Report], names: [String] = []) {
    let sources = SourceReport.all(reports, names: names)
    let builder = SectionBuilder(sources)
    let analysis = sources.count == 1 ? sources[0].report.exitAnalysis : nil
    model = PageModel(
      headline: sources.count != 1
        ? "\(sources.count) reports side by side"
        : sources[0].report.command == "reproduce"
          ? "Virtualization for HPC, 2009 and today, on \(sources[0].cpu)"
          : "Emulated hardware against virtio on \(sources[0].cpu)",
      sources: sources.map(\.head), conclusions: builder.sentences,
      sections: Evidence.experiments(of: reports).map(builder.section),
      gap: analysis.flatMap { GapTables.gap($0, sources[0].evidence) }, check: analysis.flatMap(GapTables.check))
  }

  /// The page as HTML.
  package func html() throws(Failure) -> String {
    do {
      let library = MustacheLibrary(templates: [
        "page": try MustacheTemplate(string: TemplateText.page),
        "section": try MustacheTemplate(string: TemplateText.section),
        "table": try MustacheTemplate(string: TemplateText.table),
        "twin": try MustacheTemplate(string: TemplateText.twin),
        "plot": try MustacheTemplate(string: TemplateText.plot),
      ])
      return library.render(model, withTemplate: "page") ?? ""
    } catch {
      throw Failure("make the page", cause: "a template is damaged: \(error)")
    }
  }
}

/// A report with the label that tells it from the others.
struct SourceReport {
  let report: Report
  let evidence: Evidence
  /// The host and the version, and the file if these are not enough.
  let label: String
  /// Its number from 1, or nothing if it is the only one.
  let number: Int?

  /// A short name for tables and sentences, whose meaning is at the top of the page.
  var name: String { number.map { "report \($0)" } ?? "" }
  /// The short name with its meaning.
  var title: String { number.map { "Report \($0): \(label)" } ?? label }

  var cpu: String { report.host.cpu.visible }

  static func all(_ reports: [Report], names: [String]) -> [SourceReport] {
    let plain = reports.map { "\($0.host.cpu.visible) (\($0.host.kvm)), \($0.swiftlet.visible)" }
    return reports.enumerated().map { index, report in
      let isUnique = plain.count { $0 == plain[index] } == 1
      let file =
        names.indices.contains(index) ? names[index].split(separator: "/").last.map { String($0).visible } : nil
      return SourceReport(
        report: report, evidence: Evidence(report),
        label: plain[index] + (isUnique ? "" : file.map { ", \($0)" } ?? ""),
        number: reports.count > 1 ? index + 1 : nil)
    }
  }

  /// What the page says about the report at its top.
  var head: PageModel.Source {
    let host = report.host
    var facts = [
      PageModel.Fact(fact: "Host", value: "\(cpu), \(host.cores) processors, Linux \(host.kernel.visible)"),
      PageModel.Fact(fact: "KVM", value: host.kvmSentence.replacing("KVM kind: ", with: "")),
      PageModel.Fact(fact: "Version", value: report.swiftlet.visible),
      PageModel.Fact(fact: "Date", value: report.date?.visible ?? "not recorded"),
      PageModel.Fact(fact: "Command", value: report.commandLine.visible),
      PageModel.Fact(fact: "Load before", value: host.load.brief),
    ]
    if let peer = report.peer { facts.append(PageModel.Fact(fact: "Beside", value: "QEMU \(peer.visible)")) }
    if let profile = report.results.compactMap(\.parameters.profile).first {
      facts.append(PageModel.Fact(fact: "Profile", value: profile.visible))
    }
    var notices: [String] = []
    for failure in [report.peerFailure, report.peerNetworkFailure] {
      if let failure { notices.append("QEMU was not measured: \(failure.visible)") }
    }
    let drops = report.results.reduce(into: [String: UInt64]()) { $0.merge($1.drops, uniquingKeysWith: &+) }
    if !drops.isEmpty {
      let list = drops.sorted { $0.key < $1.key }.map { "\($0.key.visible) \($0.value)" }.joined(separator: ", ")
      notices.append("Frames were dropped: \(list).")
    }
    return PageModel.Source(
      label: title, facts: facts, warnings: HostNoise.warnings(report), notices: notices,
      skipped: (report.skipped ?? []).map { PageModel.Fact(fact: $0.experiment.visible, value: $0.reason.visible) },
      failed: (report.failures ?? []).map { PageModel.Fact(fact: $0.title.visible, value: $0.cause.visible) })
  }
}

extension String {
  /// Text of a file, without control characters and without marks that change the direction of what follows.
  var visible: String {
    String(
      String.UnicodeScalarView(
        unicodeScalars.prefix(2000).map { scalar in
          switch scalar.properties.generalCategory {
          case .control, .format, .lineSeparator, .paragraphSeparator: " "
          default: scalar
          }
        }))
  }

  /// Text for a data: link.
  var percentEncoded: String {
    addingPercentEncoding(withAllowedCharacters: CharacterSet(charactersIn: Self.plain)) ?? ""
  }

  private static let plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
}
