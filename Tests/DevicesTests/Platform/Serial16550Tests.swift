import Backends
import Bus
import Devices
import Synchronization
import TestSupport
import Testing

/// A serial line that records the bytes that it sends.
private final class RecordedSerial: SerialBackend {
  private let state = Mutex<[UInt8]>([])
  private let room = Mutex((true, nil as (@Sendable () -> Void)?))
  var bytes: [UInt8] { state.withLock { $0 } }
  func transmit(_ byte: UInt8) { state.withLock { $0.append(byte) } }
  var hasRoom: Bool { room.withLock { $0.0 } }
  func onRoom(_ body: @escaping @Sendable () -> Void) { room.withLock { $0.1 = body } }

  func setRoom(_ hasRoom: Bool) {
    let body = room.withLock { room in
      room.0 = hasRoom
      return room.1
    }
    if hasRoom { body?() }
  }
}

@Suite("The serial port (PC16550D)")
struct Serial16550Tests {
  private let bus = Bus()
  private let line = RecordedLine()
  private let backend = RecordedSerial()
  private let serial: Serial16550

  init() {
    serial = Serial16550(line: line, backend: backend)
    serial.attach(to: bus)
  }

  private func read(_ register: UInt64) -> UInt8 { UInt8(bus.read(.port, 0x3F8 + register, width: 1)) }
  private func write(_ register: UInt64, _ value: UInt8) { bus.write(.port, 0x3F8 + register, width: 1, UInt64(value)) }

  @Test("table I: the state after a reset; transmission takes no time")
  func reset() {
    #expect(read(1) == 0)
    #expect(read(2) == 0x01)
    #expect(read(3) == 0)
    #expect(read(4) == 0)
    #expect(read(5) == 0x60)
    #expect(read(6) & 0xF0 == 0xB0)
    write(0, 0x41)
    #expect(backend.bytes == [0x41])
    #expect(read(5) == 0x60)
  }

  @Test("8.1: DLAB turns offsets 0 and 1 into the divisor latch")
  func divisor() {
    write(3, 0x83)
    write(0, 0x0C)
    write(1, 0x01)
    #expect(read(0) == 0x0C)
    #expect(read(1) == 0x01)
    write(3, 0x03)
    #expect(read(1) == 0)
    #expect(backend.bytes.isEmpty)
    write(7, 0x5A)
    #expect(read(7) == 0x5A)
  }

  @Test("rep outsb sends every byte")
  func block() {
    Array("hello".utf8).withUnsafeBytes { _ = bus.write(.port, 0x3F8, width: 1, from: $0) }
    #expect(backend.bytes == Array("hello".utf8))
  }

  @Test("8.6: received data interrupts until it is read, while enabled and OUT2 connects the line")
  func receive() {
    #expect(serial.receive([1, 2]) == 2)
    #expect(line.changes == [])
    write(1, 0x01)
    #expect(line.changes == [])
    write(4, 0x08)
    #expect(line.changes == [true])
    #expect(read(2) == 0x04)
    #expect(read(5) == 0x61)
    #expect(read(0) == 1)
    #expect(line.isAsserted)
    #expect(read(0) == 2)
    #expect(!line.isAsserted)
    #expect(read(5) == 0x60)
    #expect(read(0) == 0)
  }

  @Test(
    "8.10: with FIFOs, data below the trigger level interrupts by time-out",
    arguments: [(0x01, 1), (0x41, 4), (0x81, 8), (0xC1, 14)])
  func trigger(control: Int, level: Int) {
    write(2, UInt8(control))
    write(1, 0x01)
    if level > 1 {
      serial.receive([UInt8](repeating: 0, count: level - 1))
      #expect(read(2) == 0xCC)
    }
    serial.receive([0])
    #expect(read(2) == 0xC4 || level == 1)
    #expect(read(2) == 0xC4)
  }

  @Test("8.6: an empty transmitter interrupts when enabled and after each byte; reading IIR clears it")
  func transmitter() {
    write(4, 0x08)
    write(1, 0x02)
    #expect(line.changes == [true])
    #expect(read(2) == 0x02)
    #expect(line.changes == [true, false])
    #expect(read(2) == 0x01)
    write(0, 0x41)
    #expect(line.changes == [true, false, true])
    serial.receive([9])
    write(1, 0x03)
    #expect(read(2) == 0x04, "received data has priority, and reading it leaves the transmitter's interrupt pending")
    _ = read(0)
    #expect(read(2) == 0x02)
  }

  @Test("8.8: loopback returns sent bytes, and the modem outputs as inputs")
  func loopback() {
    write(4, 0x10)
    write(0, 0x5A)
    #expect(backend.bytes.isEmpty)
    #expect(read(0) == 0x5A)
    for (outputs, inputs) in [(0x01, 0x20), (0x02, 0x10), (0x04, 0x40), (0x08, 0x80), (0x0F, 0xF0)] as [(UInt8, UInt8)]
    {
      write(4, 0x10 | outputs)
      #expect(read(6) == inputs)
    }
    for byte in 0..<2 { write(0, UInt8(byte)) }
    #expect(read(5) & 0x03 == 0x03)
    #expect(read(5) & 0x02 == 0, "reading LSR clears the overrun")
  }

  @Test("input is bounded; a dropped byte is an overrun, which interrupts as line status")
  func overrun() {
    #expect(serial.receive([UInt8](repeating: 1, count: 5000)) == 4096)
    write(1, 0x05)
    #expect(read(2) == 0x06)
    #expect(read(5) == 0x63)
    #expect(read(2) & 0x0F == 0x04)
    #expect(serial.receive([1]) == 0)
  }

  @Test("8.5: FCR bit 1 empties the receiver's FIFO of 16 bytes")
  func clearFIFO() {
    write(2, 0x01)
    serial.receive([UInt8](repeating: 1, count: 16) + [2])
    #expect(read(5) & 0x01 == 0x01)
    write(2, 0x03)
    #expect(read(0) == 2)
    #expect(read(5) & 0x01 == 0)
    serial.receive([3])
    #expect(read(5) & 0x01 == 0x01)
    write(2, 0x07)
    #expect(read(5) & 0x01 == 0)
  }

  @Test("8.5: a change of FCR bit 0 clears data; rewriting the same value does not", arguments: [0x00, 0x01])
  func changeFIFO(control: UInt8) {
    write(2, control)
    serial.receive([7, 8])
    #expect(read(5) & 0x01 == 0x01)
    write(2, control)
    #expect(read(0) == 7)
    #expect(read(5) & 0x01 == 0x01)
    write(2, control ^ 0x01)
    #expect(read(5) & 0x01 == 0)
  }

  @Test("input before the guest's set-up stays on the wire and survives it")
  func setUp() {
    serial.receive(Array(1...100))
    write(2, 0x07)
    write(2, 0x00)
    write(2, 0x01)
    #expect((0..<100).map { _ in read(0) } == Array(1...100))
  }

  @Test("8.4: without FIFOs, the receiver holds one byte; the next one overruns and replaces it")
  func oneByte() {
    write(4, 0x10)
    write(0, 0x41)
    write(0, 0x42)
    #expect(read(5) & 0x03 == 0x03)
    #expect(read(0) == 0x42)
    #expect(read(5) & 0x03 == 0)
  }

  @Test("with FIFOs, the 17th byte is dropped, and 16 are kept")
  func sixteenBytes() {
    write(4, 0x10)
    write(2, 0x01)
    for byte in 0..<17 as Range<UInt8> { write(0, byte) }
    #expect(read(5) & 0x03 == 0x03)
    #expect((0..<16).map { _ in read(0) } == Array(0..<16))
    #expect(read(5) & 0x01 == 0)
  }

  @Test("entering and leaving loopback reports no modem line change, and excludes the host's bytes")
  func enterLoopback() {
    serial.receive([9])
    write(4, 0x1B)
    #expect(read(6) & 0x0F == 0)
    #expect(read(5) & 0x01 == 0)
    write(4, 0x0B)
    #expect(read(6) == 0xB0)
    #expect(read(0) == 9)
  }

  @Test("a 16-bit access is two 8-bit accesses")
  func wide() {
    bus.write(.port, 0x3FB, width: 2, 0x0B03)
    #expect(read(3) == 0x03)
    #expect(read(4) == 0x0B)
    #expect(bus.read(.port, 0x3FB, width: 2) == 0x0B03)
  }

  @Test("while the backend has no room the transmitter is full; it interrupts when there is room")
  func backPressure() {
    write(4, 0x08)
    write(1, 0x02)
    #expect(read(2) == 0x02)
    backend.setRoom(false)
    write(0, 0x41)
    #expect(backend.bytes == [0x41])
    #expect(read(5) & 0x60 == 0)
    #expect(!line.isAsserted)
    backend.setRoom(true)
    #expect(read(5) & 0x60 == 0x60)
    #expect(line.isAsserted)
    #expect(read(2) == 0x02)
  }

  @Test("loopback that fills the FIFO beside pending host input leaves no room, and further input does not trap")
  func fullLoopback() {
    serial.receive([UInt8](repeating: 1, count: 4090))
    write(2, 0x01)
    write(4, 0x10)
    for byte in 0..<16 as Range<UInt8> { write(0, byte) }
    #expect(serial.inputRoom == 0)
    #expect(serial.receive([1]) == 0)
  }

  @Test("the port reports its room, and when the guest has read half of the input")
  func inputRoom() {
    let drained = Mutex(0)
    serial.onInputDrained { drained.withLock { $0 += 1 } }
    #expect(serial.inputRoom == 4096)
    serial.receive([UInt8](repeating: 1, count: 4096))
    #expect(serial.inputRoom == 0)
    for _ in 0..<2047 { _ = read(0) }
    #expect(drained.withLock { $0 } == 0)
    for _ in 0..<10 { _ = read(0) }
    #expect(drained.withLock { $0 } == 1)
  }

  @Test("no access traps")
  func fuzz() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<5000 {
      write(random.next() % 8, UInt8(truncatingIfNeeded: random.next()))
      _ = bus.read(.port, 0x3F8 + random.next() % 8, width: [1, 2, 4][Int(random.next() % 3)])
      if random.next() % 8 == 0 { serial.receive([1, 2, 3]) }
    }
  }
}
