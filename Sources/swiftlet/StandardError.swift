import Foundation

/// What the program says besides its results. A reader that has gone away does not end the program.
enum StandardError {
  static func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
  static func print(_ line: String) { write("\(line)\n") }
}
