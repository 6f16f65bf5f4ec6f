import Foundation
import TestSupport
import Testing

/// Plays scripts to both machines and reports where they disagree.
enum Oracle {
  /// The seed of generated scripts: fixed, unless SWIFTLET_ORACLE_SEED gives another or is `random`.
  static let seed: UInt64 = {
    guard let text = ProcessInfo.processInfo.environment["SWIFTLET_ORACLE_SEED"] else { return 1 }
    return text == "random" ? UInt64.random(in: 0..<1 << 32) : UInt64(text) ?? 1
  }()

  /// The seeds of one generator: SWIFTLET_ORACLE_ROUNDS many, by default `usual`.
  static func seeds(_ usual: UInt64) -> [UInt64] {
    let rounds = ProcessInfo.processInfo.environment["SWIFTLET_ORACLE_ROUNDS"].flatMap { UInt64($0) } ?? usual
    return (0..<rounds).map { seed &+ $0 }
  }

  static func differences(_ script: Script, _ qemu: QEMUMachine) throws -> [Difference] {
    OracleTests.differences(script, try OwnMachine.play(script), try qemu.play(script))
  }

  /// Plays a written script, and records an issue for each difference that the table does not list.
  static func check(_ script: Script, _ qemu: QEMUMachine, at location: SourceLocation = #_sourceLocation) throws {
    for difference in try differences(script, qemu) {
      Issue.record("\(script.name): \(difference)", sourceLocation: location)
    }
  }

  /// Plays the script that `generate` makes of `count` operations, and shrinks it if the machines disagree.
  ///
  /// - Parameter generate: makes a script of the given operation numbers of a seed. Without some operations, the script
  ///   must still be one of a valid driver.
  static func check(
    seed: UInt64, count: Int, _ qemu: QEMUMachine, at location: SourceLocation = #_sourceLocation,
    generate: (UInt64, [Int]) -> Script
  ) throws {
    func disagreements(_ operations: [Int]) throws -> [Difference] {
      try differences(generate(seed, operations), qemu)
    }
    let all = Array(0..<count)
    let first = try disagreements(all)
    guard !first.isEmpty else { return }
    let shortest = try shrink(all) { try !disagreements($0).isEmpty }
    let last = try disagreements(shortest)
    let shown = last.isEmpty ? first : last
    // A comment would show only the script's name.
    let report: String =
      "SWIFTLET_ORACLE_SEED=\(seed) SWIFTLET_ORACLE_ROUNDS=1\n"
      + shown.map { "\($0)\n" }.joined() + (last.isEmpty ? "It did not recur.\n" : "")
      + "shortest script: \(generate(seed, shortest))"
    Issue.record(Comment(rawValue: report), sourceLocation: location)
  }

  /// The fewest operations that still fail. Drops ever smaller runs of operations while the script still fails.
  static func shrink(_ operations: [Int], while fails: ([Int]) throws -> Bool) rethrows -> [Int] {
    var best = operations
    var size = max(1, best.count / 2)
    while true {
      var start = 0
      var hasShrunk = false
      while start < best.count {
        var candidate = best
        candidate.removeSubrange(start..<min(start + size, best.count))
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

  /// The random numbers of operation `index` in the script of `seed`, independent of the operations before it.
  static func numbers(seed: UInt64, operation index: Int) -> RandomNumbers {
    RandomNumbers(seed: seed &* 0x1_0001 &+ UInt64(bitPattern: Int64(index)) &* 0x9E37_79B9)
  }
}
