import Testing

@Suite("Rules for the sources that the compiler does not check", .timeLimit(.minutes(10)))
struct HouseRuleTests {
  /// The lines of code and comment of each Swift file below `folders`, without indentation.
  private func lines(below folders: [String]) -> [(path: String, lines: [Substring])] {
    let repository = Repository.current
    return repository.files.sorted()
      .filter { path in path.hasSuffix(".swift") && folders.contains(where: path.hasPrefix) }
      .map { path in (path, repository.text(of: path).split(separator: "\n").map { $0.drop { $0 == " " } }) }
  }

  @Test("each @unchecked Sendable in Sources has its reason on the line above")
  func uncheckedSendable() {
    var count = 0
    for (path, lines) in lines(below: ["Sources/"]) {
      for (index, line) in lines.enumerated() where line.contains("@unchecked Sendable") && !line.hasPrefix("//") {
        count += 1
        #expect(index > 0 && lines[index - 1].hasPrefix("// Unchecked: "), "\(path): \(line)")
      }
    }
    #expect(count > 0)
  }

  @Test("the upper targets declare nothing public")
  func accessLevels() {
    let folders =
      ["Boot", "Devices", "Machine", "Measurement", "Reporting"].map { "Sources/\($0)/" }
      + ["DeviceSupport", "Fuzzing", "TestSupport"].map { "Tests/\($0)/" }
    for (path, lines) in lines(below: folders) {
      for line in lines where line.hasPrefix("public ") { Issue.record("\(path): \(line)") }
    }
    #expect(lines(below: folders).count > 100)
  }
}
