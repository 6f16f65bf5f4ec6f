import Foundation

/// Products of this package.
package enum BuiltProduct {
  /// The executable `swiftlet`, beside the test bundle, for any configuration and build folder.
  package static let swiftlet: URL = {
    let maps = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8)) ?? ""
    for line in maps.split(separator: "\n") {
      guard let start = line.firstIndex(of: "/"), line.hasSuffix(".xctest") else { continue }
      return URL(filePath: String(line[start...])).deletingLastPathComponent().appending(path: "swiftlet")
    }
    return URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../.build/debug/swiftlet")
  }()
}
