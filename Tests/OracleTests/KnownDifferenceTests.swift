import Foundation
import Testing

@Suite("The table of known differences")
struct KnownDifferenceTests {
  private static let scripts =
    UARTScripts.all + RTCScripts.all + PCIScripts.all + IDEScripts.all + IDEOpcodeScripts.all + IDEDMAScripts.all
    + NICScripts.all + NICTrafficScripts.all

  @Test("each entry is named by a step that must differ", arguments: KnownDifference.allCases)
  func isUsed(_ difference: KnownDifference) {
    let isUsed = Self.scripts.contains { script in
      script.steps.contains { $0.tolerance?.difference == difference && $0.tolerance?.isCertain == true }
    }
    #expect(isUsed, "no script shows .\(difference): delete it")
  }

  @Test("Docs/Oracle.md has the same rows in the same order")
  func document() throws {
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Docs/Oracle.md")
    let text = try String(contentsOf: path.standardizedFileURL, encoding: .utf8)
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { String($0) }
    let expected = KnownDifference.allCases.map(\.row)
    #expect(rows == expected, "the table is:\n\(expected.joined(separator: "\n"))")
  }

  @Test("shrinking finds the operations that cause the failure")
  func shrinks() {
    let shortest = Oracle.shrink(Array(0..<100)) { $0.contains(17) && $0.contains(80) }
    #expect(shortest == [17, 80])
  }

  @Test("a difference without an entry is reported, and so is an entry without a difference")
  func reports() {
    var script = Script("two reads")
    script.inb(0x3F8)
    script.inb(0x3F9, .uartDivisorReset, bits: 0x0F)
    func count(_ ours: [UInt64], _ theirs: [UInt64]) -> [Bool] {
      differences(script, ours.map { .value($0) }, theirs.map { .value($0) }).map(\.isStale)
    }
    #expect(count([1, 2], [1, 3]) == [])
    #expect(count([1, 2], [0, 3]) == [false])
    #expect(count([1, 2], [1, 2]) == [true])
    #expect(count([1, 0x12], [1, 0x23]) == [false], "a bit outside the entry's bits")
  }
}
