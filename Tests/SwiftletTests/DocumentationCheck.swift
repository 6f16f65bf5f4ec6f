import ArgumentParser
import Foundation

@testable import swiftlet

/// A kind of name in the documentation, and how to look it up in the repository.
enum DocumentationCheck {
  case paths, tests, symbols, commands, excerpts

  /// Names in backticks that look like names of this repository, with their real meaning.
  static let outside = [
    "exits/op": "a column of compare's table",
    "kernel/op": "a column of compare's table",
    "FOLDER/command": "a placeholder of `lab run`",
    "programs/net-PROGRAM": "a placeholder of host/net",
    "XSETBV": "an instruction",
    "Process": "Foundation's",
    "Synchronization.Mutex": "the standard library's",
  ]

  typealias Problem = (line: Int, text: String)

  /// One line for each wrong name.
  func problems(in page: DocumentationPage) -> [String] {
    let found =
      switch self {
      case .paths: Self.wrongLinks(page) + page.spans.compactMap(Self.wrongPath)
      case .tests: page.spans.compactMap(Self.wrongTest) + page.blocks.flatMap(Self.wrongListedTests)
      case .symbols: page.spans.compactMap(Self.wrongSymbol)
      case .commands: page.code.flatMap(Self.wrongCommands)
      case .excerpts: page.code.compactMap(Self.wrongExcerpt)
      }
    return found.map { "\(page.path):\($0.line): \($0.text)" }
  }

  private static func wrongLinks(_ page: DocumentationPage) -> [Problem] {
    let folder = (page.path as NSString).deletingLastPathComponent
    return page.links.compactMap { link in
      let path = String(URL(filePath: "/\(folder)/\(link.text)").standardizedFileURL.path.dropFirst())
      let exists = Repository.current.files.contains(path) || Repository.current.folders.contains(path)
      return exists ? nil : (link.line, "no file \(path)")
    }
  }

  /// A path has a slash or the extension of a source file. It is not checked if it starts with a slash (a path of the
  /// host or the guest) or is below .build.
  private static func wrongPath(_ span: DocumentationPage.Span) -> Problem? {
    let path = String(span.text.prefix { $0 != " " })
    let isPath = path.contains("/") || path.contains(/^[\w+…*]+\.(?:swift|S|c|h|md)$/)
    guard isPath, !path.hasPrefix("/"), !path.hasPrefix(".build/"), outside[path] == nil else { return nil }
    return Repository.current.has(path: path) ? nil : (span.line, "no file \(path)")
  }

  /// `FooTests` is a suite or a test target, and `FooTests.bar` a function of a suite.
  private static func wrongTest(_ span: DocumentationPage.Span) -> Problem? {
    guard let name = span.text.wholeMatch(of: /([A-Z]\w*Tests)(?:\.(\w+))?/) else { return nil }
    let suite = String(name.1)
    if let test = name.2.map(String.init) {
      return Repository.current.suites[suite]?.contains(test) == true ? nil : (span.line, "no test \(suite).\(test)")
    }
    let exists = Repository.current.suites[suite] != nil || Repository.current.folders.contains("Tests/\(suite)")
    return exists ? nil : (span.line, "no suite \(suite)")
  }

  /// In a table or a sentence that lists tests, a bare `bar` belongs to the suite named before it or, without one, to
  /// any suite. Words in quotes are the name of a test case; "…" at their end stands for the rest.
  private static func wrongListedTests(_ block: DocumentationPage.Block) -> [Problem] {
    let repository = Repository.current
    var problems: [Problem] = []
    var suite: String?
    for span in DocumentationPage.spans(of: block.tests, from: block.line) {
      if let name = span.text.wholeMatch(of: /([A-Z]\w*Tests)(?:\.\w+)?/) { suite = String(name.1) }
      guard span.text.wholeMatch(of: /[a-z]\w*/) != nil else { continue }
      let exists =
        suite.map { repository.suites[$0]?.contains(span.text) == true }
        ?? repository.suites.values.contains { $0.contains(span.text) }
      if !exists { problems.append((block.line, "no test \(span.text) in \(suite ?? "any suite")")) }
    }
    for quote in block.tests.matches(of: /"([^"]+)"/) {
      let literal = quote.1.hasSuffix(" …") ? "\"\(quote.1.dropLast(2))" : "\"\(quote.1)\""
      if !repository.sources.contains(where: { $0.contains(literal) }) {
        problems.append((block.line, "no test case \"\(quote.1)\""))
      }
    }
    return problems
  }

  /// A symbol has a capital letter or a dot. The first part of a dotted name is a type, and the rest is in a file that
  /// declares or extends it. Names with `+` are files.
  private static func wrongSymbol(_ span: DocumentationPage.Span) -> Problem? {
    guard let match = span.text.wholeMatch(of: /\.?([A-Za-z]\w*(?:[.+]\w+)*)(?:\([\w:]*\))?/) else { return nil }
    let name = String(match.1)
    let isPathOrTest = name.contains(/Tests\b|\.(?:swift|S|c|h|md)$/)
    guard name.contains(where: \.isUppercase) || name.contains("."), outside[name] == nil, !isPathOrTest else {
      return nil
    }
    let repository = Repository.current
    if name.contains("+") { return repository.has(path: name + ".swift") ? nil : (span.line, "no file \(name).swift") }
    let parts = name.split(separator: ".").map(String.init)
    let exists: Bool
    if parts[0].first?.isUppercase == true, parts[0].contains(where: \.isLowercase) {
      exists = repository.types[parts[0]].map { words in parts.dropFirst().allSatisfy(words.contains) } ?? false
    } else {
      exists = parts.allSatisfy(repository.words.contains)
    }
    return exists ? nil : (span.line, "no symbol \(name)")
  }

  /// Every `swiftlet` command must parse, including disks and NICs, and every filter of `swift test` must match. A
  /// command with "…" is incomplete and not checked.
  private static func wrongCommands(_ code: DocumentationPage.Code) -> [Problem] {
    guard ["sh", ""].contains(code.language) else { return [] }
    let commands = shellCommands(code.text).filter { words in !words.contains { $0.contains("…") } }
    return commands.flatMap { command in
      let refused = arguments(of: command).flatMap(refusal).map { ["swiftlet \($0)"] } ?? []
      return (refused + emptyFilters(of: command)).map { (code.line, $0) }
    }
  }

  /// The arguments of `swiftlet` in a simple command; nil for another program.
  static func arguments(of command: [String]) -> [String]? {
    var words = command.drop { ["sudo", "do", "then"].contains($0) || $0.contains(/^\w+=/) }
    if words.starts(with: ["swift", "run"]) { words = words.drop { $0 != "swiftlet" } }
    guard let program = words.popFirst(), program == "swiftlet" || program.hasSuffix("/swiftlet") else { return nil }
    return Array(words)
  }

  private static func refusal(of arguments: [String]) -> String? {
    do {
      guard let run = try Swiftlet.parseAsRoot(arguments) as? RunCommand else { return nil }
      for disk in run.disk { _ = try DiskSettings(disk) }
      _ = try NICSettings.all(run.net)
      return nil
    } catch {
      // --help and --version also throw, with success.
      guard !Swiftlet.exitCode(for: error).isSuccess else { return nil }
      return "\(arguments.joined(separator: " ")): \(Swiftlet.message(for: error))"
    }
  }

  private static func emptyFilters(of command: [String]) -> [String] {
    let words = command.drop { $0.contains(/^\w+=/) }
    guard words.starts(with: ["swift", "test"]) else { return [] }
    let repository = Repository.current
    let filters = zip(words, words.dropFirst()).filter { ["--filter", "--skip"].contains($0.0) }.map(\.1)
    return filters.filter { filter in
      !filter.split(separator: /[.\/^$\\|]/).allSatisfy { part in
        repository.folders.contains { $0.hasPrefix("Tests/") && $0.contains(part) }
          || repository.suites.contains { $0.key.contains(part) || $0.value.contains(String(part)) }
      }
    }.map { "no test \($0)" }
  }

  /// A block of Swift must be an excerpt: consecutive lines of a source file, with any indentation.
  private static func wrongExcerpt(_ code: DocumentationPage.Code) -> Problem? {
    guard code.language == "swift" else { return nil }
    let lines = code.text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    let excerpt = lines.joined(separator: "\n") + "\n"
    let exists = Repository.current.sources.contains { $0.contains(excerpt) }
    return exists ? nil : (code.line, "no source has this excerpt: \(lines.first ?? "")")
  }
}
