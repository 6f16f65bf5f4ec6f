import CGuest

/// COM1: JSON lines out, single bytes in.
enum Console {
  private static var base: UInt16 { 0x3F8 }
  static var interruptPin: UInt32 { 4 }

  static func setUp() {
    guest_outb(base + 1, 0)  // IER: none
    guest_outb(base + 3, 0x03)  // LCR: 8n1
    guest_outb(base + 2, 0x07)  // FCR: FIFOs on and empty
    guest_outb(base + 4, 0x0B)  // MCR: DTR, RTS, OUT2
  }

  /// Writes `count` bytes. Fills the transmit FIFO before it polls the status again.
  static func write(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
    var done = 0
    while done < count {
      while guest_inb(base + 5) & 0x20 == 0 { cpu_pause() }  // LSR: THRE
      let burst = min(16, count - done)
      for index in 0..<burst { guest_outb(base, bytes[done + index]) }
      done += burst
    }
  }

  static func write(byte: UInt8) {
    while guest_inb(base + 5) & 0x20 == 0 { cpu_pause() }
    guest_outb(base, byte)
  }

  /// Reads `count` bytes from the host and returns a hash: each byte is added to 31 times the previous hash.
  ///
  /// IIR shows when the FIFO has 14 bytes, which are one `rep insb`. Fewer bytes are read one by one.
  static func hash(count: UInt64) -> UInt64 {
    guest_outb(base + 4, 0x03)  // MCR: without OUT2 the interrupt line stays low
    guest_outb(base + 1, 0x01)  // IER: received data, which IIR shows
    guest_outb(base + 2, 0xC1)  // FCR: FIFOs on, trigger level 14
    let burst: UInt64 = 14
    var hash: UInt64 = 0
    var left = count
    while left > 0 {
      let cause = guest_inb(base + 2) & 0x0F
      guard cause == 0x04 || cause == 0x0C else {
        cpu_pause()
        continue
      }
      let size = cause == 0x04 && left >= burst ? burst : 1
      guest_insb(base, LineBuffer.shared, Int(truncatingIfNeeded: size))
      for index in 0..<Int(truncatingIfNeeded: size) { hash = hash &* 31 &+ UInt64(LineBuffer.shared[index]) }
      left -= size
    }
    guest_outb(base + 1, 0)
    return hash
  }

  /// Sleeps until a byte from the host arrives.
  static func readByte() -> UInt8 {
    var interrupt = Interrupt(vector: .console)
    interrupt.routePin(interruptPin, levelTriggered: false)
    guest_outb(base + 1, 0x01)  // IER: received data
    while guest_inb(base + 5) & 0x01 == 0 {  // LSR: data ready
      interrupt.wait()
      interrupt.acknowledge()
    }
    let byte = guest_inb(base)
    guest_outb(base + 1, 0)
    interrupt.drain()
    return byte
  }
}

/// One line of JSON for the host, built in a buffer and sent at once.
struct JSONLine {
  private static var capacity: Int { 1024 }
  private let buffer: UnsafeMutablePointer<UInt8>
  private var count = 0

  init(event: StaticString) {
    buffer = LineBuffer.shared
    append("{\"event\":\"")
    append(event)
    append("\"")
  }

  mutating func add(_ key: StaticString, _ value: UInt64) {
    addKey(key)
    append(value)
  }

  mutating func add(_ key: StaticString, _ value: StaticString) {
    addKey(key)
    append("\"")
    append(value)
    append("\"")
  }

  mutating func add(_ key: StaticString, _ value: Bool) {
    addKey(key)
    append(value ? "true" : "false")
  }

  mutating func add(_ key: StaticString, text: CommandLine.Value) {
    addKey(key)
    append("\"")
    // Quotes and control characters of the command line would break the JSON, so they become '?'.
    for index in 0..<text.count {
      let byte = text.byte(index)
      append(byte: byte < 0x20 || byte == 0x22 || byte == 0x5C || byte > 0x7E ? 0x3F : byte)
    }
    append("\"")
  }

  mutating func end() {
    append("}\n")
    Console.write(buffer, count)
  }

  private mutating func addKey(_ key: StaticString) {
    append(",\"")
    append(key)
    append("\":")
  }

  private mutating func append(byte: UInt8) {
    guard count < Self.capacity else { return }
    buffer[count] = byte
    count += 1
  }

  private mutating func append(_ text: StaticString) {
    for index in 0..<text.utf8CodeUnitCount { append(byte: text.utf8Start[index]) }
  }

  private mutating func append(_ value: UInt64) {
    var divisor: UInt64 = 1
    while value / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      append(byte: 0x30 + UInt8(truncatingIfNeeded: value / divisor % 10))
      divisor /= 10
    }
  }
}

/// The only buffer for lines, since only CPU 0 prints.
enum LineBuffer {
  nonisolated(unsafe) static let shared = UnsafeMutablePointer<UInt8>(
    bitPattern: UInt(Heap.allocate(1024, alignment: 16))
  ).unsafelyUnwrapped
}
