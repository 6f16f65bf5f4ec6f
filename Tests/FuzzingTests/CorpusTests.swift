import Foundation
import Fuzzing
import Testing

/// Each test runs a process of its own, which a finding ends.
@Suite("Fuzzed parsers and devices", .timeLimit(.minutes(10)))
struct CorpusTests {
  /// A file in which the process notes its input.
  private let progress = FileManager.default.temporaryDirectory.appending(path: "swiftlet-\(UUID()).txt").path

  /// Reports the input of a process that a finding ended.
  private func report(_ result: ExitTest.Result?, _ target: FuzzTarget) {
    let input = FileManager.default.contents(atPath: progress).map { String(decoding: $0, as: UTF8.self) }
    try? FileManager.default.removeItem(atPath: progress)
    #expect(result != nil, "\(target.rawValue) ended with this input: \(input ?? "none")")
  }

  @Test("each kept input passes the checks of its target", arguments: FuzzTarget.allCases)
  func inputs(target: FuzzTarget) async {
    let result = await #expect(processExitsWith: .success, observing: [\.exitStatus]) {
      [target, progress = progress as String] in
      try Replay.corpus(target, progress: progress)
    }
    report(result, target)
  }

  @Test("so do some hundred changes of them", arguments: FuzzTarget.allCases)
  func changes(target: FuzzTarget) async {
    let result = await #expect(processExitsWith: .success, observing: [\.exitStatus]) {
      [target, progress = progress as String] in
      try Replay.changes(target, seed: 1, count: target.takesOperations ? 300 : 3000, progress: progress)
    }
    report(result, target)
  }

  @Test("the corpus is small", arguments: FuzzTarget.allCases)
  func size(target: FuzzTarget) throws {
    let inputs = try Corpus.inputs(target)
    #expect((1...40).contains(inputs.count))
    for (name, bytes) in inputs { #expect(bytes.count <= 4096, "\(name)") }
  }
}

@Suite("Changes of fuzzed inputs")
struct MutatorTests {
  @Test("a seed gives the same change every time", arguments: FuzzTarget.allCases)
  func repeatable(target: FuzzTarget) {
    func change(_ seed: UInt64) -> [UInt8] {
      var input = (0..<64).map { UInt8($0) }
      var mutator = Mutator(target, seed: seed)
      mutator.mutate(&input, limit: 4096)
      return input
    }
    #expect(change(1) == change(1))
    #expect(Set((0..<50).map { change($0) }).count > 40)
  }

  @Test("an input never exceeds its limit, and can grow from nothing", arguments: FuzzTarget.allCases)
  func limits(target: FuzzTarget) {
    var input: [UInt8] = []
    var longest = 0
    var mutator = Mutator(target, seed: 7)
    for _ in 0..<5000 {
      mutator.mutate(&input, limit: 200)
      longest = max(longest, input.count)
      #expect(input.count <= 200)
    }
    #expect(longest > 64)
  }

  @Test("changes of a list of operations keep each record at its place")
  func records() {
    let marked = (0..<32).flatMap { Operation(UInt8($0), 0xAA, 0xBBBB, 0xCCCC_CCCC).bytes }
    for seed in 0..<100 as Range<UInt64> {
      var input = marked
      var mutator = Mutator(.e1000, seed: seed)
      mutator.mutate(&input, limit: 4096)
      #expect(input.count % Operation.size == 0)
      // At most four of the records changed.
      let kept = stride(from: 0, to: input.count, by: Operation.size).filter { input[$0 + 1] == 0xAA }
      #expect(kept.count >= 24)
    }
  }
}
