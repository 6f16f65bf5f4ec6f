import TestSupport

/// Generates scripts from a seed that set the clock to legal times in each format and let it run.
enum RTCGenerator {
  static func script(seed: UInt64, operations: [Int]) -> Script {
    RTCScripts.script("generated, seed \(seed)") { script in
      for operation in operations {
        var random = Oracle.numbers(seed: seed, operation: operation)
        setTime(&script, &random)
      }
    }
  }

  private static func setTime(_ script: inout Script, _ random: inout RandomNumbers) {
    let format = UInt8.random(in: 0...3, using: &random) << 1
    func code(_ value: Int) -> UInt8 { UInt8(format & 4 != 0 ? value : (value / 10) << 4 | value % 10) }
    func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    // Often just before a carry.
    let isLate = number(0...1) == 1
    let (year, month) = (number(0...99), isLate ? [2, 4, 12][number(0...2)] : number(1...12))
    let isLeap = year % 4 == 0
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    let day = isLate ? days : number(1...days)
    let hour = isLate ? 23 : number(0...23)
    let text = format & 2 != 0 ? code(hour) : code((hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0)
    let bytes = [
      code(isLate ? 58 : number(0...59)), code(isLate ? 59 : number(0...59)), text,
      UInt8(weekday(2000 + year, month, day)), code(day), code(month), code(year),
    ]
    RTCScripts.set(&script, bytes, format: format)
    RTCScripts.start(&script, format: format)
    for _ in 0..<3 {
      RTCScripts.readTime(&script)
      script.settle(ticks: 19)
    }
    RTCScripts.readTime(&script)
  }

  /// 1 for Sunday to 7 (Sakamoto's method). The chip accepts any value; QEMU computes it from the date.
  private static func weekday(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let shift = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][month - 1]
    let counted = month < 3 ? year - 1 : year
    return (counted + counted / 4 - counted / 100 + counted / 400 + shift + day) % 7 + 1
  }
}
