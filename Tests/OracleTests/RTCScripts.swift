/// Scripts for the real-time clock at 0x70, IRQ 8 (section names are those of the Motorola MC146818A datasheet).
enum RTCScripts {
  private static let formats: [UInt8] = [0x00, 0x02, 0x04, 0x06]

  static let all: [Script] =
    [registers, memory, alarm, updateEnded, periodic, stopped] + formats.map { format($0) } + formats.map { hours($0) }

  static func script(_ name: String, _ body: (inout Script) -> Void) -> Script {
    var script = Script("RTC: \(name)")
    // A reset keeps registers A and B and the RAM, and QEMU's time jumps to the next alarm.
    freeze(&script)
    for register in [1, 3, 5] as [UInt8] { write(&script, register, 0) }
    set(&script, [0x58, 0x59, 0x23, 1, 0x01, 0x03, 0x26], format: 0x02)
    start(&script, format: 0x02)
    script.settle(ticks: 76)
    body(&script)
    return script
  }

  static func read(
    _ script: inout Script, _ register: UInt8, mask: UInt64 = ~0, _ known: KnownDifference? = nil, bits: UInt64 = ~0
  ) {
    script.outb(0x70, register)
    script.inb(0x71, mask: mask, known, bits: bits)
  }

  private static func write(_ script: inout Script, _ register: UInt8, _ value: UInt8) {
    script.outb(0x70, register)
    script.outb(0x71, value)
  }

  /// Holds the divider in reset, with SET: no time passes and no flag is set.
  private static func freeze(_ script: inout Script) {
    write(&script, 0x0B, 0x82)
    write(&script, 0x0A, 0x76)
  }

  /// Sets the time by bytes (second, minute, hour, weekday, day, month, year) while the clock is stopped.
  static func set(_ script: inout Script, _ bytes: [UInt8], format: UInt8) {
    write(&script, 0x0B, 0x80 | format)
    write(&script, 0x0A, 0x76)
    for (register, byte) in zip([0, 2, 4, 6, 7, 8, 9] as [UInt8], bytes) { write(&script, register, byte) }
    write(&script, 0x32, format & 4 != 0 ? 20 : 0x20)
  }

  /// Enables updates, then starts the divider: the first update comes half a second later. In the other order, QEMU
  /// keeps the phase of the previous second.
  static func start(_ script: inout Script, format: UInt8) {
    write(&script, 0x0B, format)
    write(&script, 0x0A, 0x26)
  }

  static func readTime(_ script: inout Script) {
    for register in [0, 2, 4, 6, 7, 8, 9, 0x32] as [UInt8] { read(&script, register) }
  }

  static let registers = script("registers A to D") { script in
    for value in [0x26, 0x2F, 0x76, 0x00] as [UInt8] {
      write(&script, 0x0A, value)
      read(&script, 0x0A, mask: 0x7F)
    }
    write(&script, 0x0A, 0x26)
    for value in [0x82, 0x06, 0x0F, 0x8A, 0x02] as [UInt8] {
      write(&script, 0x0B, value)
      if value & 1 != 0 { read(&script, 0x0B, .rtcDaylightSaving, bits: 0x01) } else { read(&script, 0x0B) }
    }
    freeze(&script)
    read(&script, 0x0C, .rtcPeriodicFlag, bits: 0x40)
    read(&script, 0x0C)
    write(&script, 0x0C, 0xFF)
    read(&script, 0x0C)
    read(&script, 0x0D)
    write(&script, 0x0D, 0x00)
    read(&script, 0x0D)
    // The index port itself.
    script.inb(0x70)
  }

  static let memory = script("RAM, and the size of the machine's memory in it") { script in
    for register in [0x0F, 0x33, 0x50, 0x7F] as [UInt8] {
      write(&script, register, 0x5A ^ register)
      read(&script, register)
      // Bit 7 masks NMI and is not part of the index.
      read(&script, register | 0x80)
    }
    for register in [0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35, 0x5B, 0x5C, 0x5D] as [UInt8] {
      read(&script, register)
    }
  }

  /// Two seconds before a new year, in one of the formats.
  static func format(_ format: UInt8) -> Script {
    script("formats of the time, register B = \(hex(UInt64(format)))") { script in
      let isBinary = format & 4 != 0
      func code(_ value: UInt8) -> UInt8 { isBinary ? value : (value / 10) << 4 | value % 10 }
      let hour = format & 2 != 0 ? code(23) : code(11) | 0x80
      set(&script, [code(58), code(59), hour, 4, code(31), code(12), code(25)], format: format)
      start(&script, format: format)
      readTime(&script)
      // The first update is half a second after the divider starts.
      for _ in 0..<3 {
        script.settle(ticks: 19)
        readTime(&script)
      }
    }
  }

  /// Each hour's code, as the clock counts through a day.
  static func hours(_ format: UInt8) -> Script {
    script("the hours of a day, register B = \(hex(UInt64(format)))") { script in
      let isBinary = format & 4 != 0
      func code(_ value: Int) -> UInt8 { UInt8(isBinary ? value : (value / 10) << 4 | value % 10) }
      for hour in 0..<24 {
        let text = format & 2 != 0 ? code(hour) : code((hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0)
        set(&script, [code(59), code(59), text, 4, code(28), code(2), code(24)], format: format)
        start(&script, format: format)
        script.settle(ticks: 19)
        for register in [4, 6, 7, 8] as [UInt8] { read(&script, register) }
      }
    }
  }

  static let alarm = script("alarm interrupt and \"don't care\" codes") { script in
    for pattern in [
      [0x01, 0x30, 0x12], [0x01, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF], [0xC0, 0x30, 0x12], [0x01, 0xC5, 0x12],
    ]
      as [[UInt8]]
    {
      set(&script, [0x00, 0x30, 0x12, 2, 0x15, 0x06, 0x26], format: 0x02)
      for (register, byte) in zip([1, 3, 5] as [UInt8], pattern) { write(&script, register, byte) }
      read(&script, 0x0C, mask: 0)
      start(&script, format: 0x22)
      script.settle(ticks: 19)
      script.level(8)
      freeze(&script)
      script.level(8)
      read(&script, 0x0C, mask: 0xA0)
      write(&script, 0x0B, 0xA2)
      script.level(8)
      read(&script, 0x0C)
    }
  }

  static let updateEnded = script("update-ended interrupt") { script in
    for enable in [0x02, 0x12] as [UInt8] {
      set(&script, [0x00, 0x30, 0x12, 2, 0x15, 0x06, 0x26], format: 0x02)
      read(&script, 0x0C, mask: 0)
      start(&script, format: enable)
      script.settle(ticks: 19)
      script.level(8)
      // Enabling a flag that is set interrupts.
      write(&script, 0x0B, 0x12)
      script.level(8)
      // SET clears UIE.
      freeze(&script)
      read(&script, 0x0B)
      script.level(8)
      read(&script, 0x0C, mask: 0x90)
      read(&script, 0x0C)
    }
  }

  static let periodic = script("periodic interrupt") { script in
    for rate in [0x06, 0x0F, 0x01, 0x03, 0x00] as [UInt8] {
      freeze(&script)
      read(&script, 0x0C, mask: 0)
      write(&script, 0x0A, 0x20 | rate)
      write(&script, 0x0B, 0xC2)
      script.settle(ticks: 20)
      script.level(8)
      freeze(&script)
      read(&script, 0x0C, mask: 0x40)
    }
  }

  static let stopped = script("SET and a divider in reset stop the time") { script in
    set(&script, [0x10, 0x30, 0x12, 2, 0x15, 0x06, 0x26], format: 0x02)
    script.settle(ticks: 38)
    readTime(&script)
    write(&script, 0x0B, 0x02)
    script.settle(ticks: 38)
    readTime(&script)
    write(&script, 0x0A, 0x26)
    script.settle(ticks: 19)
    readTime(&script)
  }
}
