import Foundation
import Testing

/// Plays scripts to both machines and reports where they disagree.
enum Oracle {
  /// The seed of generated scripts: fixed, unless SWIFTLET_ORACLE_SEED names another or says `random`.
  static let seed: UInt64 = {
    guard let text = ProcessInfo.processInfo.environment["SWIFTLET_ORACLE_SEED"] else { return 1 }
    return text == "random" ? UInt64.random(in: 0..<1 << 32) : UInt64(text) ?? 1
  }()

  /// How many scripts each generator gives.
  static func rounds(_ usual: Int) -> Int {
    ProcessInfo.processInfo.environment["SWIFTLET_ORACLE_ROUNDS"].flatMap { Int($0) } ?? usual
  }

  static func differences(_ script: Script, _ qemu: QEMUMachine) throws -> [Difference] {
    OracleTests.differences(script, try OwnMachine.play(script), try qemu.play(script))
  }

  /// Plays a written script; each difference that the table does not list is an issue.
  static func check(_ script: Script, _ qemu: QEMUMachine, at location: SourceLocation = #_sourceLocation) throws {
    for difference in try differences(script, qemu) {
      Issue.record("\(script.name): \(difference)", sourceLocation: location)
    }
  }

  /// Plays a generated script, and shrinks it where the machines disagree.
  static func check(
    generated script: Script, seed: UInt64, _ qemu: QEMUMachine, at location: SourceLocation = #_sourceLocation
  ) throws {
    func fails(_ script: Script) throws -> Bool { try !differences(script, qemu).isEmpty }
    guard try fails(script) else { return }
    let shortest = try shrink(script, while: fails)
    let text = try differences(shortest, qemu).map { "\($0)" }.joined(separator: "\n")
    Issue.record("SWIFTLET_ORACLE_SEED=\(seed)\n\(text)\nscript \(shortest)", sourceLocation: location)
  }

  /// The shortest script that still fails: drops ever smaller runs of steps as long as that helps.
  static func shrink(_ script: Script, while fails: (Script) throws -> Bool) rethrows -> Script {
    var best = script
    var size = max(1, best.steps.count / 2)
    while true {
      var start = 0
      var hasShrunk = false
      while start < best.steps.count {
        var candidate = best
        candidate.steps.removeSubrange(start..<min(start + size, best.steps.count))
        if try fails(candidate) {
          best = candidate
          hasShrunk = true
        } else {
          start += size
        }
      }
      if size == 1, !hasShrunk { return best }
      size = max(1, size / 2)
    }
  }
}
