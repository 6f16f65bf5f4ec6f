/// Scripts for the UART at 0x3F8, IRQ 4 (section numbers are those of the National PC16550D datasheet).
enum UARTScripts {
  static let all = [
    reset, masks, divisor, fifoControl, transmitInterrupt, receiveWithoutFIFO, fifoTrigger, overrun, modem, wide,
  ]

  private static func script(_ name: String, _ body: (inout Script) -> Void) -> Script {
    var script = Script("UART: \(name)")
    body(&script)
    return script
  }

  static let reset = script("table I, values after a reset") { script in
    for register in 1...7 as ClosedRange<UInt64> where register != 4 { script.inb(0x3F8 + register) }
    script.inb(0x3FC, .uartModemControlReset, bits: 0x08)
    script.level(4)
    script.outb(0x3FB, 0x80)
    script.inb(0x3F8, .uartDivisorReset)
    script.inb(0x3F9)
  }

  static let masks = script("8.0, which bits can be written") { script in
    for value in [0xFF, 0x00, 0x55, 0xAA] as [UInt8] {
      script.outb(0x3F9, value)
      script.inb(0x3F9)
      script.outb(0x3FF, value)
      script.inb(0x3FF)
      script.outb(0x3FC, value & 0xEF)
      script.inb(0x3FC)
      script.outb(0x3FB, value & 0x3F)
      script.inb(0x3FB)
      script.outb(0x3FD, value)
      script.outb(0x3FE, value)
    }
    script.outb(0x3FC, 0xFF)
    script.inb(0x3FC)
    script.outb(0x3FC, 0)
    script.outb(0x3FB, 0x40)
    script.inb(0x3FB)
    script.inb(0x3FD)
  }

  static let divisor = script("8.1, the divisor latch") { script in
    script.outb(0x3FB, 0x83)
    script.outb(0x3F8, 0x01)
    script.outb(0x3F9, 0xC2)
    script.inb(0x3F8)
    script.inb(0x3F9)
    script.outb(0x3FB, 0x03)
    script.inb(0x3F9)
    script.outb(0x3F9, 0x05)
    script.outb(0x3FB, 0x83)
    script.inb(0x3F9)
    script.outb(0x3FB, 0x03)
    script.inb(0x3F9)
  }

  static let fifoControl = script("8.5, the FIFO bits of IIR") { script in
    for value in [0x01, 0x00, 0xC1, 0xC0, 0x07, 0x41, 0x81] as [UInt8] {
      script.outb(0x3FA, value)
      script.inb(0x3FA)
      script.inb(0x3FD)
    }
  }

  static let transmitInterrupt = script("table IV, transmitter empty") { script in
    script.outb(0x3FC, 0x0B)
    script.outb(0x3F9, 0x02)
    script.settle()
    script.level(4)
    script.inb(0x3FA)
    script.inb(0x3FA)
    script.level(4)
    script.outb(0x3F8, 0x41)
    script.settle()
    script.level(4)
    script.inb(0x3FD)
    script.inb(0x3FA)
    script.level(4)
    // Disabling and enabling raises it again.
    script.outb(0x3F9, 0x00)
    script.inb(0x3FA)
    script.outb(0x3F9, 0x02)
    script.settle()
    script.level(4)
    script.inb(0x3FA)
    script.outb(0x3FA, 0x05)
    script.settle()
    script.level(4, .uartTransmitReset)
    script.inb(0x3FA, .uartTransmitReset)
    script.outb(0x3F9, 0x00)
    script.outb(0x3F9, 0x02)
    // Without OUT2, the chip's interrupt stays pending; only the PC's gate hides it.
    script.outb(0x3FC, 0x03)
    script.settle()
    script.level(4, .uartOUT2)
    script.inb(0x3FA)
  }

  /// Sends `bytes` in loopback.
  private static func loop(_ script: inout Script, _ bytes: [UInt8]) {
    for byte in bytes {
      script.outb(0x3F8, byte)
      script.settle()
    }
  }

  static let receiveWithoutFIFO = script("8.6.3, loopback without FIFOs") { script in
    script.outb(0x3FB, 0x03)
    script.outb(0x3FC, 0x18)
    script.outb(0x3F9, 0x01)
    script.inb(0x3FA)
    loop(&script, [0x31])
    script.inb(0x3FD)
    script.inb(0x3FA, .uartTimeoutWithoutFIFO, bits: 0x08)
    script.level(4)
    script.inb(0x3F8)
    script.inb(0x3FA)
    script.inb(0x3FD)
    script.level(4)
    // Two bytes without a read between: there is one holding register, so the first is lost.
    script.outb(0x3F9, 0x05)
    loop(&script, [0x32, 0x33])
    script.inb(0x3FA, .uartDepthWithoutFIFO)
    script.level(4)
    script.inb(0x3FD, .uartDepthWithoutFIFO, bits: 0x02)
    script.inb(0x3FA, .uartTimeoutWithoutFIFO, bits: 0x08)
    script.inb(0x3F8, .uartDepthWithoutFIFO)
    script.inb(0x3FD, .uartDepthWithoutFIFO, bits: 0x01)
    script.inb(0x3F8, .uartDepthWithoutFIFO)
  }

  static let fifoTrigger = script("8.5, trigger levels and the time-out") { script in
    script.outb(0x3FB, 0x03)
    script.outb(0x3FC, 0x1B)
    script.outb(0x3F9, 0x01)
    for (control, level) in [(0x07, 1), (0x47, 4), (0x87, 8), (0xC7, 14)] as [(UInt8, Int)] {
      script.outb(0x3FA, control)
      loop(&script, (0..<level).map { UInt8(0x40 + $0) })
      script.inb(0x3FA, .uartTimeoutAtTrigger, bits: 0x08)
      script.level(4)
      script.inb(0x3FD)
      script.inb(0x3F8)
      script.settle()
      script.inb(0x3FA)
      for _ in 0..<level { script.inb(0x3F8) }
      script.inb(0x3FA)
      script.inb(0x3FD)
      script.level(4)
    }
  }

  /// A 16-bit access is two 8-bit accesses to consecutive ports.
  static let wide = script("16-bit accesses") { script in
    script.outw(0x3FB, 0x1B03)
    script.inw(0x3FB)
    script.outw(0x3FF, 0x5A5A)
    script.inb(0x3FF)
    script.inw(0x3F9)
  }

  static let overrun = script("8.4, overrun of the FIFO") { script in
    script.outb(0x3FB, 0x03)
    script.outb(0x3FC, 0x18)
    script.outb(0x3FA, 0x07)
    script.outb(0x3F9, 0x04)
    loop(&script, (0..<16).map { UInt8($0) })
    script.inb(0x3FA)
    script.inb(0x3FD)
    loop(&script, [0x77])
    script.inb(0x3FA)
    script.level(4)
    script.inb(0x3FD)
    script.inb(0x3FD)
    script.inb(0x3FA)
    for _ in 0..<17 { script.inb(0x3F8) }
    // Bit 0 of FCR clears both FIFOs whenever it changes.
    loop(&script, [0x78])
    script.outb(0x3FA, 0x00)
    script.inb(0x3FD)
    script.inb(0x3F8)
  }

  static let modem = script("8.7, modem status in loopback") { script in
    script.outb(0x3F9, 0x08)
    for control in [0x10, 0x11, 0x12, 0x14, 0x18, 0x1F, 0x1B, 0x10, 0x00] as [UInt8] {
      script.outb(0x3FC, control)
      script.settle()
      script.inb(0x3FA)
      script.level(4)
      script.inb(0x3FE)
      script.inb(0x3FE)
      script.inb(0x3FA)
    }
  }
}
