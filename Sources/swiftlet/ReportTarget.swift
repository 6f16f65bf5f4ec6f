import ArgumentParser
import Backends
import Failures
import Foundation
import Reporting

/// The place of a report: the file of `--output`, or standard output.
final class ReportTarget {
  private let file: OutputFile?
  private var isWritten = false

  /// Opens the file now, so that a bad path fails before a measurement, not after it. An old file keeps its contents until
  /// `write`.
  init(_ path: String?) throws(Failure) {
    guard let path else {
      file = nil
      return
    }
    file = try OutputFile(
      path, .text, action: "write the report to \(path)", what: "a report", option: "--output", keepsContents: true)
  }

  func write(_ data: Data) throws {
    if let file { try file.replaceContents(with: Array(data)) } else { FileHandle.standardOutput.write(data) }
    isWritten = true
  }

  /// For a command that ends with an error: removes a file that this run created.
  func removeUnlessWritten() { if !isWritten { file?.removeIfMade() } }
}

extension ReportFormat: ExpressibleByArgument {}
