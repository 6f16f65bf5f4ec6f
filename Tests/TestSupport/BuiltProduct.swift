import Foundation

/// Products of this package.
package enum BuiltProduct {
  package static let swiftlet = executable("swiftlet")
  /// Attempts to leave the sandbox; see Tests/EscapeDrill.
  package static let escapeDrill = executable("escape-drill")

  /// An executable beside the test bundle, for any configuration and build folder.
  private static func executable(_ name: String) -> URL {
    let maps = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8)) ?? ""
    for line in maps.split(separator: "\n") {
      guard let start = line.firstIndex(of: "/"), line.hasSuffix(".xctest") else { continue }
      return URL(filePath: String(line[start...])).deletingLastPathComponent().appending(path: name)
    }
    return URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../.build/debug/\(name)")
  }
}
