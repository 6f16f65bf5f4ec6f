import Foundation

/// Output besides the results of a command. If its reader has gone away, the program continues.
enum StandardError {
  static func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
  static func print(_ line: String) { write("\(line)\n") }
}
