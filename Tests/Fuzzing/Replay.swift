import Glibc

/// Runs kept inputs, and changes of them, without libFuzzer.
package enum Replay {
  /// Runs each kept input of `target`.
  package static func corpus(_ target: FuzzTarget) throws {
    let run = try target.makeRunner()
    for (name, bytes) in try Corpus.inputs(target) {
      announce("\(target.rawValue): \(name)")
      bytes.withUnsafeBytes(run)
    }
  }

  /// Runs `count` changes of kept inputs. The same seed makes the same changes.
  package static func changes(_ target: FuzzTarget, seed: UInt64, count: Int) throws {
    let run = try target.makeRunner()
    let inputs = try Corpus.inputs(target)
    for number in 0..<count {
      let (name, bytes) = inputs[number % inputs.count]
      // A seed of its own, so that one change can be repeated alone.
      var mutator = Mutator(target, seed: seed &+ UInt64(number))
      var input = bytes
      mutator.mutate(&input, limit: 4096)
      announce("\(target.rawValue): change \(number) of \(name), seed \(seed)")
      input.withUnsafeBytes(run)
    }
  }

  /// Says which input comes next, since a finding ends the process.
  private static func announce(_ input: String) {
    let line = input + "\n"
    _ = write(STDERR_FILENO, line, line.utf8.count)
  }
}
