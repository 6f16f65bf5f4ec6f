import Foundation

/// An index of the repository: its paths, the words of its code, its types and its tests. It excludes comments, since
/// a stale name may remain in a comment.
struct Repository: Sendable {
  /// The checkout that these tests were built from.
  static let current = Repository(
    root: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL)

  let root: URL
  let files: Set<String>
  let folders: Set<String>
  /// Words of all code.
  private(set) var words: Set<String> = []
  /// A type's name, and the words of the files that declare or extend it.
  private(set) var types: [String: Set<String>] = [:]
  /// A type in Tests, and the functions of the files that declare or extend it.
  private(set) var suites: [String: Set<String>] = [:]
  /// Each Swift file without indentation, to find excerpts in.
  private(set) var sources: [String] = []

  private static let typeKeywords: Set<String> = [
    "class", "struct", "enum", "protocol", "actor", "extension", "typealias",
  ]

  init(root: URL) {
    self.root = root
    let manager = FileManager.default
    let top = (try? manager.contentsOfDirectory(atPath: root.path)) ?? []
    var files: Set<String> = []
    var folders: Set<String> = []
    let inner = [".ci", "Docs", "Guests", "Sources", "Tests"].flatMap { folder in
      [folder] + (manager.subpaths(atPath: root.appending(path: folder).path) ?? []).map { "\(folder)/\($0)" }
    }
    for path in inner + top where path != ".build" && path != ".git" {
      var isFolder: ObjCBool = false
      guard manager.fileExists(atPath: root.appending(path: path).path, isDirectory: &isFolder) else { continue }
      if isFolder.boolValue { folders.insert(path) } else { files.insert(path) }
    }
    self.files = files
    self.folders = folders
    for path in files where Self.isCode(path) { index(path) }
  }

  func text(of path: String) -> String {
    (try? String(contentsOf: root.appending(path: path), encoding: .utf8)) ?? ""
  }

  private static func isCode(_ path: String) -> Bool {
    path == "Package.swift" || ["Sources/", "Guests/", "Tests/"].contains(where: path.hasPrefix)
  }

  private mutating func index(_ path: String) {
    let lines = text(of: path).split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    let found = lines.filter { !$0.hasPrefix("//") }.flatMap(Self.words)
    let all = Set(found)
    // These tests quote names that do not exist, so only their suites are indexed.
    let quotesNames = path.hasPrefix("Tests/SwiftletTests/Documentation")
    if !quotesNames { words.formUnion(all) }
    guard path.hasSuffix(".swift") else { return }
    if !quotesNames { sources.append(lines.joined(separator: "\n") + "\n") }
    var declared: Set<String> = []
    var functions: Set<String> = []
    for (keyword, name) in zip(found, found.dropFirst()) {
      if Self.typeKeywords.contains(keyword) { declared.insert(name) }
      if keyword == "func" { functions.insert(name) }
    }
    for name in declared {
      if !quotesNames { types[name, default: []].formUnion(all) }
      if path.hasPrefix("Tests/") { suites[name, default: []].formUnion(functions) }
    }
  }

  private static func words(of line: String) -> [String] {
    line.utf8.split { byte in
      !(UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        && !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) && byte != UInt8(ascii: "_")
    }.compactMap { String($0) }
  }

  /// Whether `path` is a file or folder: from the root if it starts with a top folder, otherwise below any folder.
  /// `*` and `…` stand for any letters.
  func has(path: String) -> Bool {
    let wanted = path.hasSuffix("/") ? String(path.dropLast()) : path
    let isRooted = folders.contains(String(wanted.prefix { $0 != "/" }))
    if files.contains(wanted) || folders.contains(wanted) { return true }
    let parts = wanted.split(separator: /[*…]/, omittingEmptySubsequences: false).map(String.init)
    return files.union(folders).contains { candidate in
      guard parts.count > 1 else { return !isRooted && candidate.hasSuffix("/" + wanted) }
      guard let first = candidate.range(of: isRooted ? parts[0] : "/" + parts[0]) else { return false }
      return (!isRooted || first.lowerBound == candidate.startIndex)
        && candidate[first.upperBound...].hasSuffix(parts[parts.count - 1])
    }
  }
}
