import CLinux
import Failures
import Foundation
import Glibc

/// The folder of a reproduction: its report, which is also the memory of a run that is not finished.
///
/// The folder is locked while a run uses it.
package final class ReportFolder {
  /// Seconds between two saves while samples are taken.
  private static let interval: UInt64 = 10_000_000_000

  private let path: String
  private let lock: Int32
  private var report: Report?
  private var lastSave: UInt64 = 0

  /// Makes the folder if it is not there.
  package init(_ path: String) throws(Failure) {
    let action = "write the report to \(path)"
    let fix = "Name another folder with --output."
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw Failure(action, cause: "the folder cannot be made: \(error.localizedDescription)", fix: fix)
    }
    self.path = path
    lock = try systemCall(action, fix: fix) { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      throw Failure(
        action, cause: "another run uses the folder", fix: "Wait for it, or name another folder with --output.")
    }
  }

  deinit { close(lock) }

  private var numbers: String { "\(path)/report.json" }
  private var page: String { "\(path)/report.html" }

  /// Reads the records of an earlier run, and writes the first state of this one. So a folder that cannot be written is
  /// found before the first measurement.
  ///
  /// - Parameters:
  ///   - report: this run's report, without records.
  ///   - again: whether the records of an earlier run are discarded.
  /// - Throws: `Failure` if the folder has a report that this run cannot continue.
  package func begin(_ report: Report, size: ReproductionOptions.Size, again: Bool) throws(Failure) -> [Record] {
    var report = report
    report.size = size.rawValue
    if !again, access(numbers, F_OK) == 0 {
      let old = try ReportFile(path: numbers).reports
      if let reason = Self.difference(old, report) {
        throw Failure(
          "continue the run in \(path)", cause: reason,
          fix: "Name another folder with --output, or discard this run with --again.")
      }
      report.results = old[0].results
    }
    try write(report)
    self.report = report
    return report.results
  }

  /// Why a run cannot be continued by another; nil if it can.
  private static func difference(_ old: [Report], _ new: Report) -> String? {
    guard old.count == 1, let old = old.first, old.command == "reproduce" else {
      return "its report is not from 'swiftlet reproduce'"
    }
    if old.size != new.size { return "it is a run of the size '\(old.size ?? "?")', not '\(new.size ?? "?")'" }
    if old.swiftlet != new.swiftlet { return "it is a run of \(old.swiftlet), not \(new.swiftlet)" }
    let hosts = [old.host, new.host].map { [$0.cpu, "\($0.cores)", $0.kernel, $0.kvm] }
    return hosts[0] == hosts[1] ? nil : "it is from another host, or from another kernel"
  }

  /// Saves the state, unless the last save was a moment ago.
  package func save(_ state: Reproduction.State) throws(Failure) {
    guard clinux_monotonic_ns() &- lastSave > Self.interval else { return }
    try finish(state)
  }

  /// Saves the state.
  @discardableResult
  package func finish(_ state: Reproduction.State) throws(Failure) -> Report {
    guard var report else { throw Failure("save the report", cause: "its folder is not open") }
    report.results = state.records
    report.skipped = state.skipped.isEmpty ? nil : state.skipped
    report.failures = state.failures.isEmpty ? nil : state.failures
    try write(report)
    self.report = report
    return report
  }

  private func write(_ report: Report) throws(Failure) {
    lastSave = clinux_monotonic_ns()
    do {
      try write(report.json(), to: numbers)
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure("write the report to \(path)", cause: "\(error)")
    }
  }

  /// Writes the page that shows the report.
  package func write(page data: Data) throws(Failure) { try write(data, to: page) }

  /// Writes a whole file: a run that is killed leaves the last one.
  private func write(_ data: Data, to file: String) throws(Failure) {
    do {
      try data.write(to: URL(filePath: file), options: .atomic)
    } catch {
      throw Failure(
        "write \(file)", cause: error.localizedDescription,
        fix: "Make room there, or name another folder with --output.")
    }
  }
}
