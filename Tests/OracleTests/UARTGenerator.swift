import TestSupport

/// Generates scripts from a seed: a driver tests a UART in loopback.
enum UARTGenerator {
  static func script(seed: UInt64, operations: [Int]) -> Script {
    var script = Script("UART: generated, seed \(seed)")
    script.outb(0x3FB, 0x03)
    script.outb(0x3FC, 0x18)
    script.outb(0x3FA, 0x07)
    for operation in operations {
      var random = Oracle.numbers(seed: seed, operation: operation)
      step(&script, &random)
    }
    return script
  }

  private static func byte(_ random: inout RandomNumbers) -> UInt8 { UInt8.random(in: 0...255, using: &random) }

  private static func step(_ script: inout Script, _ random: inout RandomNumbers) {
    switch Int.random(in: 0..<14, using: &random) {
    case 0, 1, 2:
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        script.outb(0x3F8, byte(&random))
        script.settle()
      }
    case 3, 4: script.inb(0x3F8)
    case 5: script.outb(0x3F9, byte(&random))
    // Keeps the FIFOs on and does not reset the transmitter's, since both are known differences.
    case 6: script.outb(0x3FA, byte(&random) & 0xC2 | 0x01)
    case 7:
      script.outb(0x3FB, byte(&random) | 0x80)
      // With a large divisor, the FIFO's time-out would be late in QEMU.
      script.outb(0x3F8, byte(&random))
      script.outb(0x3F9, 0)
      script.inb(0x3F8)
      script.inb(0x3F9)
      script.outb(0x3FB, byte(&random) & 0x3F | 0x03)
      script.inb(0x3FB)
    // Loopback and OUT2 stay set.
    case 8:
      script.outb(0x3FC, byte(&random) & 0x0F | 0x18)
      script.inb(0x3FC)
    case 9: script.inb(0x3FE)
    case 10: script.inb(0x3FD)
    case 11:
      script.outb(0x3FF, byte(&random))
      script.inb(0x3FF)
    case 12: script.inb(0x3F9)
    default:
      script.settle()
      script.level(4)
      script.may(.uartTimeoutAtTrigger, bits: 0x08) { $0.inb(0x3FA) }
    }
  }
}
