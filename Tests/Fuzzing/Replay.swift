import Glibc

/// Runs kept inputs, and changes of them, without libFuzzer.
package enum Replay {
  /// Runs each kept input of `target`.
  ///
  /// - Parameter progress: a file that names the present input, since a finding ends the process.
  package static func corpus(_ target: FuzzTarget, progress: String) throws {
    let run = try target.makeRunner()
    for (name, bytes) in try Corpus.inputs(target) {
      note(name, in: progress)
      bytes.withUnsafeBytes(run)
    }
  }

  /// Runs `count` changes of kept inputs. The same seed makes the same changes.
  package static func changes(_ target: FuzzTarget, seed: UInt64, count: Int, progress: String) throws {
    let run = try target.makeRunner()
    let inputs = try Corpus.inputs(target)
    for number in 0..<count {
      let (name, bytes) = inputs[number % inputs.count]
      // A seed of its own, so that one change can be repeated alone.
      var mutator = Mutator(target, seed: seed &+ UInt64(number))
      var input = bytes
      mutator.mutate(&input, limit: 4096)
      note("change \(number) of \(name), seed \(seed)", in: progress)
      input.withUnsafeBytes(run)
    }
  }

  private static func note(_ input: String, in file: String) {
    let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    _ = write(descriptor, input, input.utf8.count)
    close(descriptor)
  }
}
