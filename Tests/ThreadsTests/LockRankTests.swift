import Foundation
import Testing
import Threads

@Suite("The lock order in Docs/EventLoop.md")
struct LockRankTests {
  @Test("the page's table has the ranks of LockRank, in the same order")
  func table() throws {
    let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Docs/EventLoop.md")
    let lines = try String(contentsOf: page, encoding: .utf8).split(separator: "\n")
    let head = try #require(lines.firstIndex(of: "| rank | what the lock guards |"))
    let ranks = lines[(head + 2)...].prefix { $0.hasPrefix("| `") }.map { $0.split(separator: "`")[1] }
    #expect(ranks.map(String.init) == LockRank.allCases.map { "\($0)" })
  }
}
