import Bus
import Devices
import TestSupport
import Testing

/// The accesses of Linux's i8042 driver, in its order, with its waits; counts them.
private final class ProbingDriver {
  let bus = Bus()
  let keyboardLine = RecordedLine()
  let auxiliaryLine = RecordedLine()
  var accesses = 0
  /// Waits that timed out; each costs the driver half a second.
  var timeOuts = 0
  private var control: UInt8 = 0

  init() {
    KeyboardController(keyboardLine: keyboardLine, auxiliaryLine: auxiliaryLine) {}.attach(to: bus)
  }

  private func read(_ port: UInt64) -> UInt8 {
    accesses += 1
    return UInt8(bus.read(.port, port, width: 1))
  }
  private func write(_ port: UInt64, _ value: UInt8) {
    accesses += 1
    bus.write(.port, port, width: 1, UInt64(value))
  }

  /// Polls the status until `mask` reads as `value`, 10 000 times at most.
  private func wait(_ mask: UInt8, for value: UInt8) {
    for _ in 0..<10_000 where read(0x64) & mask == value { return }
    timeOuts += 1
  }

  /// Sends a command with `parameters` and returns its answer.
  @discardableResult
  func command(_ code: UInt8, _ parameters: [UInt8] = [], answers: Bool = false) -> UInt8? {
    wait(0x02, for: 0)
    write(0x64, code)
    for parameter in parameters {
      wait(0x02, for: 0)
      write(0x60, parameter)
    }
    guard answers else { return nil }
    wait(0x01, for: 0x01)
    if code == 0xD3, read(0x64) & 0x20 == 0 { return nil }
    return read(0x60)
  }

  /// Reads until the buffer is empty, at most 16 bytes.
  func flush() -> Int {
    for count in 0...16 {
      if read(0x64) & 0x01 == 0 { return count }
      _ = read(0x60)
    }
    return 17
  }

  /// Changes the driver's copy of the command byte, and writes it.
  func setControl(set: UInt8, clear: UInt8) {
    control = (control | set) & ~clear
    command(0x60, [control])
  }

  func initializeController() {
    let first = command(0x20, answers: true)
    let second = command(0x20, answers: true)
    #expect(first != nil && first == second)
    control = first ?? 0
    #expect(read(0x64) & 0x10 != 0, "otherwise Linux warns of a locked keyboard")
    setControl(set: 0x10, clear: 0x01)
    #expect(flush() == 0)
  }

  func checkAuxiliary() {
    #expect(flush() == 0)
    #expect(command(0xD3, [0x5A], answers: true) == 0x5A)
    command(0xA7)
    #expect((command(0x20, answers: true) ?? 0) & 0x20 == 0x20)
    command(0xA8)
    #expect((command(0x20, answers: true) ?? 0xFF) & 0x20 == 0)
    setControl(set: 0x02, clear: 0x20)
    command(0xD3, [0xA5])
    #expect(interrupt(auxiliaryLine) == [0x21, 0xA5], "IRQ 12 is tested, within 250 ms")
    setControl(set: 0x20, clear: 0x02)
  }

  /// The driver's interrupt handler: status bits AUX, TO and OBF, and the byte; nil without an interrupt.
  func interrupt(_ line: RecordedLine) -> [UInt8]? {
    guard line.isAsserted else { return nil }
    return [read(0x64) & 0x61, read(0x60)]
  }

  /// A multiplexer would answer 0xA4 with its version.
  func checkMultiplexer() {
    #expect(flush() == 0)
    for byte in [0xF0, 0x56, 0xA4] as [UInt8] { #expect(command(0xD3, [byte], answers: true) == byte) }
  }

  func sendToKeyboard(_ byte: UInt8) -> [UInt8]? {
    wait(0x02, for: 0)
    write(0x60, byte)
    return interrupt(keyboardLine)
  }

  func sendToMouse(_ byte: UInt8) -> [UInt8]? {
    command(0xD4, [byte])
    return interrupt(auxiliaryLine)
  }
}

@Suite("Linux 6.1 probes the keyboard controller (drivers/input/serio/i8042.c)")
struct KeyboardProbeTests {
  @Test("the whole probe takes 93 accesses, and no wait times out")
  func probe() {
    let driver = ProbingDriver()
    #expect(driver.flush() == 0)
    driver.initializeController()
    driver.checkAuxiliary()
    driver.checkMultiplexer()
    driver.setControl(set: 0x02, clear: 0x20)
    driver.setControl(set: 0x01, clear: 0x10)
    // The keyboard's driver queries the device's identity, then its lights; the mouse's driver queries its identity.
    #expect(driver.sendToKeyboard(0xF2) == [0x41, 0xFE])
    #expect(driver.sendToKeyboard(0xED) == [0x41, 0xFE])
    #expect(driver.sendToMouse(0xF2) == [0x61, 0xFE])
    #expect(driver.timeOuts == 0)
    #expect(driver.accesses == 93)
    #expect(driver.keyboardLine.changes == [true, false, true, false])
    #expect(driver.auxiliaryLine.changes == [true, false, true, false])
  }

  @Test("with i8042.reset and at shutdown: flush, self-test, the first command byte again")
  func shutdown() {
    let driver = ProbingDriver()
    driver.initializeController()
    #expect(driver.flush() == 0)
    driver.setControl(set: 0x30, clear: 0x03)
    #expect(driver.command(0xAA, answers: true) == 0x55)
    driver.command(0x60, [0x74])
    #expect(driver.command(0x20, answers: true) == 0x74)
    #expect(driver.timeOuts == 0)
  }
}
