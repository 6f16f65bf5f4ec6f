import Bus
import Devices
import TestSupport
import Testing

@Suite("The keyboard controller (8042, IBM PS/2 technical reference)")
struct KeyboardControllerTests {
  private let bus = Bus()
  private let keyboardLine = RecordedLine()
  private let auxiliaryLine = RecordedLine()
  private let resets = CallCount()

  init() {
    KeyboardController(keyboardLine: keyboardLine, auxiliaryLine: auxiliaryLine) { [resets] in resets.add() }
      .attach(to: bus)
  }

  private func status() -> UInt8 { UInt8(bus.read(.port, 0x64, width: 1)) }
  private func data() -> UInt8 { UInt8(bus.read(.port, 0x60, width: 1)) }
  private func command(_ value: UInt8) { bus.write(.port, 0x64, width: 1, UInt64(value)) }
  private func send(_ value: UInt8) { bus.write(.port, 0x60, width: 1, UInt64(value)) }
  private func commandByte() -> UInt8 {
    command(0x20)
    return data()
  }

  @Test("state after firmware: self-test passed, both devices off, no interrupts, unlocked, nothing to read")
  func firmware() {
    #expect(status() == 0x14)
    #expect(commandByte() == 0x74)
    #expect(status() == 0x1C, "A2: the last write was a command")
    send(0xF4)
    _ = data()
    #expect(status() == 0x14)
  }

  @Test(
    "self-test and interface tests pass", arguments: [(0xAA, 0x55), (0xA9, 0x00), (0xAB, 0x00)] as [(UInt8, UInt8)])
  func tests(code: UInt8, result: UInt8) {
    command(code)
    #expect(status() & 0x21 == 0x01)
    #expect(data() == result)
    #expect(status() & 0x01 == 0)
  }

  @Test("the self-test sets the system flag")
  func systemFlag() {
    command(0x60)
    send(0x00)
    #expect(status() & 0x04 == 0)
    command(0xAA)
    #expect(status() & 0x04 == 0x04)
  }

  @Test("0x20-0x3F and 0x60-0x7F: 32 bytes of RAM; the first is the command byte")
  func memory() {
    for index in 0..<32 as Range<UInt8> {
      command(0x60 + index)
      send(0xC0 ^ index)
    }
    for index in 0..<32 as Range<UInt8> {
      command(0x20 + index)
      #expect(data() == 0xC0 ^ index)
    }
  }

  @Test("0xAD, 0xAE, 0xA7, 0xA8 disable and enable the devices in the command byte")
  func enables() {
    for (code, expected) in [(0xAE, 0x64), (0xA8, 0x44), (0xAD, 0x54), (0xA7, 0x74)] as [(UInt8, UInt8)] {
      command(code)
      #expect(commandByte() == expected)
    }
  }

  @Test("0xD2 and 0xD3: a byte comes back as the keyboard's or the mouse's, and interrupts while enabled")
  func loops() {
    command(0x60)
    send(0x03)
    command(0xD2)
    send(0x5A)
    #expect(status() & 0x61 == 0x01)
    #expect(keyboardLine.changes == [true])
    #expect(data() == 0x5A)
    #expect(keyboardLine.changes == [true, false])
    #expect(auxiliaryLine.changes == [])
    command(0xD3)
    send(0xA5)
    #expect(status() & 0x61 == 0x21)
    #expect(auxiliaryLine.changes == [true])
    #expect(data() == 0xA5)
    #expect(auxiliaryLine.changes == [true, false])
    command(0x60)
    send(0x00)
    command(0xD3)
    send(0x01)
    #expect(auxiliaryLine.changes == [true, false])
    command(0x60)
    send(0x02)
    #expect(auxiliaryLine.isAsserted, "enabled while the byte waits")
    #expect(keyboardLine.changes == [true, false])
  }

  @Test("a byte to a missing device causes a time-out, and enables its interface")
  func timeOut() {
    command(0x60)
    send(0x77 & ~0x04)
    send(0xF2)
    #expect(status() & 0x61 == 0x41)
    #expect(keyboardLine.changes == [true])
    #expect(data() == 0xFE)
    #expect(status() & 0x41 == 0)
    command(0xD4)
    send(0xF2)
    #expect(status() & 0x61 == 0x61)
    #expect(auxiliaryLine.changes == [true])
    #expect(data() == 0xFE)
    #expect(commandByte() == 0x43)
  }

  @Test("a byte waits for the output buffer; the controller's go first, and the line falls between two")
  func order() {
    command(0x60)
    send(0x03)
    send(0x01)
    command(0xD3)
    send(0x02)
    command(0xAA)
    #expect(data() == 0xFE)
    #expect(keyboardLine.changes == [true, false, true])
    #expect(data() == 0x55)
    #expect(auxiliaryLine.changes == [true])
    #expect(data() == 0x02)
    #expect(status() & 0x01 == 0)
    #expect(data() == 0x02, "an empty buffer shows the previous byte")
  }

  @Test("at most one unread byte of each source waits")
  func bounded() {
    for index in 0..<1000 {
      send(UInt8(truncatingIfNeeded: index))
      command(0xD3)
      send(UInt8(truncatingIfNeeded: index))
      command(0xAA)
    }
    var count = 0
    while status() & 0x01 != 0, count < 100 {
      _ = data()
      count += 1
    }
    #expect(count == 4)
  }

  @Test("the output port: reset and A20 high, and pending interrupts")
  func outputPort() {
    command(0xD0)
    #expect(data() == 0x03)
    command(0xD1)
    send(0x01)
    command(0xD0)
    #expect(data() == 0x01)
    command(0x60)
    send(0x02)
    command(0xD3)
    send(0x00)
    command(0xD0)
    _ = data()
    #expect(data() == 0x21)
    #expect(resets.count == 0)
  }

  @Test("bit 0 of the output port resets when low: written, or pulsed as Linux does with 0xFE")
  func reset() {
    command(0xFE)
    #expect(resets.count == 1)
    command(0xF0)
    #expect(resets.count == 2)
    for code in [0xFF, 0xF1, 0xEE] as [UInt8] { command(code) }
    #expect(resets.count == 2)
    command(0xD1)
    send(0xFE)
    #expect(resets.count == 3)
  }

  @Test("a command replaces one that waits for its data")
  func abandoned() {
    command(0xD1)
    command(0xA8)
    send(0x00)
    #expect(resets.count == 0)
    #expect(status() & 0x41 == 0x41, "the byte went to the keyboard")
  }

  @Test("no value at any width at either port traps")
  func noise() {
    for first in 0...255 as ClosedRange<UInt64> {
      for width in [1, 2, 4, 8] {
        bus.write(.port, 0x64, width: width, first &* 0x0101_0101_0101_0101)
        for second in [0x00, 0x55, 0xFF] as [UInt64] { bus.write(.port, 0x60, width: width, second) }
        _ = bus.read(.port, 0x60, width: width)
        _ = bus.read(.port, 0x64, width: width)
      }
    }
    #expect(resets.count >= 4 * 8)
    #expect(bus.read(.port, 0x64, width: 4) | 0xFF == 0xFFFF_FFFF)
  }
}
