import Glibc
import Measurement

/// Shows a run's progress on standard error, if that is a terminal.
final class ProgressBar {
  private static let width = 24
  private let isTerminal = isatty(2) == 1

  func show(done: Int, of total: Int, title: String) {
    guard isTerminal, total > 0 else { return }
    let filled = Self.width * done / total
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled)
    write("\r\u{1B}[K[\(bar)] \(done)/\(total) \(title)")
  }

  /// Shows also the time that is left.
  func show(_ progress: RunProgress, title: String) {
    let left = progress.secondsLeft.rounded(.up)
    let seconds = left.isFinite ? Int(min(max(left, 0), 1e9)) : 0
    let time =
      seconds >= 3600
      ? "\(seconds / 3600) h \(seconds / 60 % 60) min" : seconds >= 60 ? "\(seconds / 60) min" : "\(seconds) s"
    show(done: progress.done, of: progress.total, title: "\(time) left: \(title)")
  }

  func clear() { if isTerminal { write("\r\u{1B}[K") } }

  private func write(_ text: String) { StandardError.write(text) }
}
