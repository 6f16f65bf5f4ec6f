import Foundation
import Testing

/// A page of the documentation, split into prose and code.
struct DocumentationPage: Sendable, CustomTestStringConvertible {
  /// A paragraph, a list item or a row of a table.
  struct Block: Sendable {
    let line: Int
    var text: String
    /// The part that names tests: the last cell under a header that ends in "test", or the text after "Tests:".
    var tests = ""
  }

  /// A fenced or indented block of code.
  struct Code: Sendable {
    let language: String
    let line: Int
    var text = ""
  }

  /// A word or phrase in backticks.
  struct Span: Sendable {
    let line: Int
    let text: String
  }

  /// From the root of the repository.
  let path: String
  private(set) var blocks: [Block] = []
  private(set) var code: [Code] = []

  var testDescription: String { path }

  /// README.md and every page of Docs.
  static let all: [DocumentationPage] = Repository.current.files
    .filter { $0 == "README.md" || ($0.hasPrefix("Docs/") && $0.hasSuffix(".md")) }.sorted()
    .map { DocumentationPage(path: $0, text: Repository.current.text(of: $0)) }

  init(path: String, text: String) {
    self.path = path
    var fence: Code?
    var isParagraph = false
    var isIndented = false
    var header: String?
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init).enumerated() {
      if var open = fence {
        if line.hasPrefix("```") {
          code.append(open)
          fence = nil
        } else {
          open.text += line + "\n"
          fence = open
        }
        continue
      }
      if line.hasPrefix("```") {
        fence = Code(language: String(line.dropFirst(3)), line: index + 1)
      } else if line.hasPrefix("    "), !isParagraph {
        if !isIndented { code.append(Code(language: "", line: index + 1)) }
        code[code.count - 1].text += line + "\n"
      } else if line.hasPrefix("|") {
        header = header ?? line
        blocks.append(Self.row(line, under: header ?? "", number: index + 1))
      } else if isParagraph, !line.isEmpty, line.firstMatch(of: /^(?:-|[0-9]+\.)[ ]/) == nil {
        blocks[blocks.count - 1].text += "\n" + line
      } else if !line.isEmpty {
        blocks.append(Block(line: index + 1, text: line))
      }
      isIndented = line.hasPrefix("    ") && !isParagraph
      isParagraph = !line.isEmpty && !line.hasPrefix("|") && !line.hasPrefix("```") && !isIndented
      if !line.hasPrefix("|") { header = nil }
    }
    for index in blocks.indices where !blocks[index].text.hasPrefix("|") {
      guard let start = blocks[index].text.firstRange(of: /\bTests?\b[^.:`]*:/) else { continue }
      blocks[index].tests = String(blocks[index].text[start.upperBound...])
    }
  }

  private static func row(_ line: String, under header: String, number: Int) -> Block {
    // "\|" is a bar inside a cell.
    let cells = { (row: String) in
      row.replacing("\\|", with: "\u{1}").split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    let names = cells(header).last?.hasSuffix("test") == true ? cells(line).last ?? "" : ""
    return Block(line: number, text: line.replacing("\\|", with: "|"), tests: names)
  }

  /// Words in backticks, outside of code blocks.
  var spans: [Span] { blocks.flatMap { Self.spans(of: $0.text, from: $0.line) } }

  static func spans(of text: String, from line: Int) -> [Span] {
    text.matches(of: /`([^`]+)`/).map { match in
      let line = line + text[..<match.range.lowerBound].filter { $0 == "\n" }.count
      return Span(line: line, text: String(match.1).replacing("\n", with: " "))
    }
  }

  /// Targets of the links to files of the repository, without anchors.
  var links: [Span] {
    blocks.flatMap { block in
      block.text.matches(of: /\]\(([^)#\s]+)(?:#[^)]*)?\)/).filter { !$0.1.contains(":") }
        .map { Span(line: block.line, text: String($0.1)) }
    }
  }
}

/// The simple commands of a shell script, each as its words. Redirections and comments are omitted, variables are not
/// expanded, and lines of a here-document count as commands.
func shellCommands(_ script: String) -> [[String]] {
  var commands: [[String]] = []
  var command: [String] = []
  var word: String?
  var quote: Character?
  var skipsWord = false
  func endWord() {
    if let ended = word, !skipsWord { command.append(ended) }
    if word != nil { skipsWord = false }
    word = nil
  }
  func endCommand() {
    endWord()
    if !command.isEmpty { commands.append(command) }
    command = []
    skipsWord = false
  }
  var rest = Substring(script)
  while let character = rest.popFirst() {
    switch character {
    case quote: quote = nil
    case _ where quote == "'": word? += String(character)
    case "\\":
      guard let next = rest.popFirst(), next != "\n" else { continue }
      word = (word ?? "") + String(next)
    case _ where quote == "\"": word? += String(character)
    case "'", "\"":
      quote = character
      word = word ?? ""
    case "#" where word == nil: rest = rest.drop { $0 != "\n" }
    case "\n", ";", "&", "|", "(", ")": endCommand()
    case " ", "\t": endWord()
    case "<", ">":
      endWord()
      rest = rest.drop { $0 == character }
      skipsWord = true
    default: word = (word ?? "") + String(character)
    }
  }
  endCommand()
  return commands
}
