import CFuzzer
import Fuzzing
import Glibc

/// The target that FUZZ_TARGET names.
enum Selection {
  static let target: FuzzTarget = {
    if let name = getenv("FUZZ_TARGET"), let target = FuzzTarget(rawValue: String(cString: name)) { return target }
    end("FUZZ_TARGET must be one of: \(FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))")
  }()

  /// Runs one input.
  // Unsafe: libFuzzer calls it on one thread.
  nonisolated(unsafe) static let run: (UnsafeRawBufferPointer) -> Void = {
    do { return try target.makeRunner() } catch { end("\(error)") }
  }()

  private static func end(_ message: String) -> Never {
    let line = message + "\n"
    _ = write(STDERR_FILENO, line, line.utf8.count)
    exit(2)
  }
}

/// libFuzzer's hook: changes an input in place, and returns its new size.
@_cdecl("LLVMFuzzerCustomMutator")
func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int, _ seed: UInt32) -> Int {
  // libFuzzer's own mutations know its dictionary and the values that the code compares with.
  guard Selection.target.takesOperations, seed % 4 != 0 else { return LLVMFuzzerMutate(data, size, limit) }
  var mutator = Mutator(Selection.target, seed: UInt64(seed))
  var input = Array(UnsafeBufferPointer(start: data, count: size))
  mutator.mutate(&input, limit: limit)
  input = Array(input.prefix(limit))
  for (index, byte) in input.enumerated() { data[index] = byte }
  return input.count
}
