import CGuest

/// How a measured program repeats: `samples=` of about `duration-ms=` each. With `wait=1`, each sample begins when the
/// host sends a byte. The guest sends STX and ETX around it, so that the host counts only the measured span.
struct Sampling {
  static var begin: UInt8 { 0x02 }
  static var end: UInt8 { 0x03 }

  let samples: Int
  let duration: UInt64
  let isPaced: Bool
  let clock = Clock()

  init(_ arguments: CommandLine) {
    samples = Int(truncatingIfNeeded: min(arguments.number("samples", default: 1), 1000))
    duration = min(arguments.number("duration-ms", default: 100), 600_000) * 1_000_000
    isPaced = arguments.isSet("wait")
  }

  /// Runs `body` once for each sample, and prints the work that it returns with the elapsed time.
  ///
  /// - Parameter prepare: runs before the measured span of each sample.
  func run(prepare: () -> Void = {}, _ body: (_ sample: Int, _ deadline: UInt64) -> Work) {
    if isPaced { JSONLine(event: "ready").finish() }
    for sample in 0..<samples {
      if isPaced {
        guard Console.readByte() != 0x71 else { return }  // 'q'
      }
      prepare()
      if isPaced { Console.write(byte: Self.begin) }
      let start = clock.now
      let work = body(sample, start + duration)
      let elapsed = clock.now - start
      if isPaced { Console.write(byte: Self.end) }
      // Verifies written data only now, outside the measured span.
      work.verify?()
      var line = JSONLine(event: "sample")
      line.add("operations", work.operations)
      line.add("bytes", work.bytes)
      line.add("nanoseconds", elapsed)
      work.report?(&line)
      line.end()
    }
  }

  /// The work of one sample.
  struct Work {
    var operations: UInt64 = 0
    var bytes: UInt64 = 0
    var verify: (() -> Void)?
    var report: ((inout JSONLine) -> Void)?
  }
}

extension JSONLine {
  func finish() {
    var line = self
    line.end()
  }
}
