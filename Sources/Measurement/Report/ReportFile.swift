import Failures
import Foundation
import KVM

/// A JSON file that holds one report, or several.
///
/// The file may come from another host or another version, and may be damaged. Every error says what is wrong and how to
/// make a correct file.
package struct ReportFile {
  /// No report is larger than this. A full run has some hundred kilobytes.
  private static let largest = 64 << 20

  package let reports: [Report]

  /// Reads the file at `path`.
  package init(path: String) throws(Failure) {
    let descriptor = try systemCall(
      "read the report \(path)", fix: "Make one with: swiftlet compare --quick --format json --output FILE"
    ) { open(path, O_RDONLY | O_CLOEXEC) }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    let data: Data
    do {
      data = try handle.read(upToCount: Self.largest + 1) ?? Data()
    } catch {
      throw Self.failure(path, "it cannot be read, perhaps because it is a directory")
    }
    try self.init(data, name: path)
  }

  /// - Parameter name: the name of the file, for error messages.
  package init(_ data: Data, name: String) throws(Failure) {
    guard data.count <= Self.largest else { throw Self.failure(name, "it is larger than 64 MiB") }
    guard !data.isEmpty else { throw Self.failure(name, "it is empty") }
    let decoder = JSONDecoder()
    do {
      let head = try decoder.decode(Head.self, from: data)
      guard let schema = head.schema else { throw Self.failure(name, "it has no schema, so it is not a report") }
      guard schema == 1 else {
        let version = head.swiftlet.map { " of \($0)" } ?? ""
        throw Failure(
          "read the report \(name)", cause: "it has schema \(schema)\(version), and this version reads schema 1",
          fix: "Read it with the version that wrote it, or measure again.")
      }
      if let problem = Self.negative(in: try JSONSerialization.jsonObject(with: data)) {
        throw Self.failure(name, problem)
      }
      reports =
        head.reports == nil
        ? [try decoder.decode(Report.self, from: data)] : try decoder.decode(Several.self, from: data).reports
      for report in reports { try Self.check(report, name) }
    } catch let failure as Failure {
      throw failure
    } catch let error as DecodingError {
      throw Self.failure(name, Self.cause(error))
    } catch {
      throw Self.failure(name, "it is not complete JSON; it is damaged or was cut off")
    }
  }

  /// The fields that are read before all others.
  private struct Head: Decodable {
    struct Ignored: Decodable {}
    var schema: Int?
    var swiftlet: String?
    var reports: [Ignored]?
  }

  private struct Several: Decodable { var reports: [Report] }

  private static func failure(_ name: String, _ cause: String) -> Failure {
    Failure(
      "read the report \(name)", cause: cause,
      fix: "Measure again with: swiftlet compare --format json --output FILE")
  }

  /// Checks the values that the types accept but no report has.
  private static func check(_ report: Report, _ name: String) throws(Failure) {
    guard report.schema == 1 else {
      throw failure(name, "one of its reports has schema \(report.schema), and this version reads schema 1")
    }
    guard KVMKind(rawValue: report.host.kvm) != nil else {
      throw failure(name, "host.kvm is '\(printable(report.host.kvm))', which is unknown")
    }
    for (index, record) in report.results.enumerated() {
      guard record.experiment.rawValue.wholeMatch(of: /[a-z0-9-]{1,40}/) != nil else {
        throw failure(name, "results[\(index)].experiment is '\(printable(record.experiment.rawValue))', not a name")
      }
      guard record.throughput != nil || record.latency != nil || record.size != nil else {
        throw failure(name, "results[\(index)] has neither throughput, latency nor size")
      }
    }
  }

  /// The first negative number, with its path. Only the analysis, which a reader computes again, may have some.
  private static func negative(in value: Any, at path: String = "") -> String? {
    switch value {
    case let object as [String: Any]:
      for (key, part) in object.sorted(by: { $0.key < $1.key }) where key != "exitAnalysis" {
        if let problem = negative(in: part, at: path.isEmpty ? printable(key) : "\(path).\(printable(key))") {
          return problem
        }
      }
    case let array as [Any]:
      for (index, part) in array.enumerated() {
        if let problem = negative(in: part, at: "\(path)[\(index)]") { return problem }
      }
    case let number as NSNumber where !number.doubleValue.isFinite: return "\(path) is not a finite number"
    case let number as NSNumber where number.doubleValue < 0: return "\(path) is negative: \(number)"
    default: break
    }
    return nil
  }

  private static func cause(_ error: DecodingError) -> String {
    func place(_ path: [any CodingKey]) -> String {
      let text = path.reduce(into: "") { text, key in
        if let index = key.intValue { text += "[\(index)]" } else { text += ".\(printable(key.stringValue))" }
      }
      return text.isEmpty ? "the report" : String(text.drop { $0 == "." })
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(place(context.codingPath + [key])) is missing"
    case .valueNotFound(_, let context): return "\(place(context.codingPath)) is null"
    case .typeMismatch(_, let context): return "\(place(context.codingPath)) has the wrong type"
    case .dataCorrupted(let context) where context.codingPath.isEmpty:
      return "it is not complete JSON; it is damaged or was cut off"
    case .dataCorrupted(let context):
      return "\(place(context.codingPath)) has an unknown value: \(printable(context.debugDescription))"
    @unknown default: return "it is damaged"
    }
  }

  /// Text of the file in an error message: one short line without control characters.
  private static func printable(_ text: String) -> String {
    let clean = text.prefix(80).map { $0.isNewline || ($0.asciiValue ?? 32) < 32 || $0.asciiValue == 127 ? " " : $0 }
    return String(clean)
  }
}
