import Foundation
import Testing

@Suite("Names in the documentation exist", .timeLimit(.minutes(10)))
struct DocumentationTests {
  @Test("paths and links lead to a file or a folder", arguments: DocumentationPage.all)
  func paths(page: DocumentationPage) { #expect(DocumentationCheck.paths.problems(in: page) == []) }

  @Test("tests and suites exist", arguments: DocumentationPage.all)
  func tests(page: DocumentationPage) { #expect(DocumentationCheck.tests.problems(in: page) == []) }

  @Test("types, members and constants exist", arguments: DocumentationPage.all)
  func symbols(page: DocumentationPage) { #expect(DocumentationCheck.symbols.problems(in: page) == []) }

  @Test("commands parse", arguments: DocumentationPage.all)
  func commands(page: DocumentationPage) { #expect(DocumentationCheck.commands.problems(in: page) == []) }

  @Test("blocks of Swift are excerpts of a source", arguments: DocumentationPage.all)
  func excerpts(page: DocumentationPage) { #expect(DocumentationCheck.excerpts.problems(in: page) == []) }

  @Test("README.md or the reading order links to every page")
  func pagesAreLinked() {
    let entries = DocumentationPage.all.filter { ["README.md", "Docs/ReadingOrder.md"].contains($0.path) }
    let linked = Set(entries.flatMap(\.links).map { ($0.text as NSString).lastPathComponent })
    let pages = DocumentationPage.all.map { ($0.path as NSString).lastPathComponent }
    #expect(pages.filter { $0 != "README.md" && !linked.contains($0) } == [])
  }

  @Test("each name on the list of outside names is still used")
  func outsideNamesAreUsed() {
    let spans = Set(DocumentationPage.all.flatMap(\.spans).map { String($0.text.prefix { $0 != " " }) })
    #expect(DocumentationCheck.outside.keys.filter { !spans.contains($0) } == [])
  }

  @Test("the pages have something to check")
  func nothingIsEmpty() throws {
    let commands = DocumentationPage.all.flatMap(\.code).flatMap { shellCommands($0.text) }
    #expect(commands.compactMap(DocumentationCheck.arguments).count > 10)
    let spans = DocumentationPage.all.flatMap(\.spans)
    #expect(spans.count { $0.text.hasPrefix("Sources/") } > 10)
    #expect(spans.count { $0.text.contains(/Tests\.\w+$/) } > 10)
    #expect(DocumentationPage.all.flatMap(\.blocks).count { !$0.tests.isEmpty } > 10)
  }

  @Test(
    "a wrong name is found",
    arguments: [
      (.paths, "`Sources/Bus/Bus.swift`, `Bus.swift`, `PCI/MSIX.swift`, `IDEChannel*.swift` and `Sources/`", []),
      (.paths, "[Bus](../Docs/Bus.md) and [elsewhere](https://example.org/Nowhere.md)", []),
      (.paths, "`Bus/Bus.swift` is\nnot `Sources/Nowhere/Bus.swift`", ["2: no file Sources/Nowhere/Bus.swift"]),
      (.paths, "`NoSuchFile.swift`", ["1: no file NoSuchFile.swift"]),
      (.paths, "`NoSuch*.swift`", ["1: no file NoSuch*.swift"]),
      (.paths, "[Nowhere](Nowhere.md)", ["1: no file Docs/Nowhere.md"]),
      (.tests, "`BusTests`, `BusTests.finds`, `KVMTests`. Tests: `finds`", []),
      (.tests, "`NoSuchTests`", ["1: no suite NoSuchTests"]),
      (.tests, "`BusTests.noSuchTest`", ["1: no test BusTests.noSuchTest"]),
      (.tests, "`BusTests.postCode` is of another suite", ["1: no test BusTests.postCode"]),
      (.tests, "Tests: `noSuchTest`", ["1: no test noSuchTest in any suite"]),
      (.tests, "Tests: `BusTests.finds`, `postCode`", ["1: no test postCode in BusTests"]),
      (.tests, "| what | test |\n|---|---|\n| `x` | `noSuchTest` |", ["3: no test noSuchTest in any suite"]),
      (.tests, "Tests: \"buffer of no bytes\", \"indirect table of …\"", []),
      (.tests, "Tests: \"no such case\"", ["1: no test case \"no such case\""]),
      (.tests, "Tests: \"nowhere near …\"", ["1: no test case \"nowhere near …\""]),
      (.symbols, "`Bus`, `Bus.applyHeldWrites`, `badAddress`, `KVM_RUN`, `E1000State+Receive`, `.coalesced`", []),
      (.symbols, "`NoSuchType`", ["1: no symbol NoSuchType"]),
      (.symbols, "`Bus.noSuchMember`", ["1: no symbol Bus.noSuchMember"]),
      (.symbols, "`noSuchMember`", ["1: no symbol noSuchMember"]),
      (.symbols, "`NO_SUCH_CONSTANT`", ["1: no symbol NO_SUCH_CONSTANT"]),
      (.symbols, "`E1000+NoSuch`", ["1: no file E1000+NoSuch.swift"]),
      (.commands, "```sh\nsudo swiftlet network up --taps 2 # two\nA=b swiftlet --help | less\n```", []),
      (.commands, "```sh\nother run --bogus\nswiftlet run … --bogus\n```", []),
      (
        .commands, "```sh\nx &&\n  swiftlet doctor --bogus\n```",
        ["1: swiftlet doctor --bogus: Unknown option '--bogus'"]
      ),
      (.commands, "```sh\nswiftlet guest\n```", ["1: swiftlet guest: Missing expected argument '<file>'"]),
      (
        .commands, "    build/swiftlet run --kernel 'a b' \\\n    --net model=x",
        ["1: swiftlet run --kernel a b --net model=x: "]
      ),
      (.commands, "```sh\nswift test --filter DevicesTests --skip BusTests/finds\n```", []),
      (.commands, "```sh\nA=1 swift test --filter NoSuchTests\n```", ["1: no test NoSuchTests"]),
      (.excerpts, "```swift\n  let noSuchName: Int\n```", ["1: no source has this excerpt: let noSuchName: Int"]),
      (
        .excerpts, "```swift\npackage final class PostCode: ByteTarget {\n  private let latch = Atomic<UInt8>(0)\n```",
        []
      ),
    ] as [(DocumentationCheck, String, [String])])
  func wrongName(check: DocumentationCheck, text: String, expected: [String]) {
    let found = check.problems(in: DocumentationPage(path: "Docs/Page.md", text: text))
    #expect(found.count == expected.count, "\(found)")
    for (problem, beginning) in zip(found, expected) {
      #expect(problem.hasPrefix("Docs/Page.md:" + beginning))
    }
  }
}
