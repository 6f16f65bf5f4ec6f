import Backends
import Bus
import Registers
import Synchronization

/// The 16550A UART behind COM1 (National PC16550D datasheet).
///
/// Transmission takes no time: the holding register is always empty. Guarded by its one lock; `receive` is called on
/// any thread.
public final class Serial16550: BusTarget, @unchecked Sendable {
  private struct State {
    var interruptEnable: UInt8 = 0
    var lineControl: UInt8 = 0
    var modemControl: UInt8 = 0
    var scratch: UInt8 = 0
    var divisor: UInt16 = 1
    var isFIFOEnabled = false
    /// Bytes in the receiver FIFO at which received data interrupts.
    var trigger = 1
    /// What the host sent and the guest has not read; the first 16 are in the FIFO.
    var received: [UInt8] = []
    var overrun = false
    /// The holding register became empty and IIR has not told yet.
    var transmitEmptyPending = false
    var asserted = false
  }

  /// Bytes from the host that wait at most; more are lost, as on a line without flow control.
  private static let inputLimit = 4096

  private let state = Mutex(State())
  private let line: any InterruptLine
  private let backend: any SerialBackend

  public init(line: any InterruptLine, backend: any SerialBackend) {
    self.line = line
    self.backend = backend
  }

  /// Claims eight ports from `base` (0x3F8 for COM1).
  public func attach(to bus: Bus, base: UInt64 = 0x3F8) {
    bus.map(BusRange("serial", .port, at: base, size: 8, target: self))
  }

  /// Bytes from the host to the guest; returns how many were taken.
  @discardableResult
  public func receive(_ bytes: [UInt8]) -> Int {
    state.withLock { state in
      let taken = min(bytes.count, Self.inputLimit - state.received.count)
      state.received.append(contentsOf: bytes.prefix(taken))
      if taken < bytes.count { state.overrun = true }
      update(&state)
      return taken
    }
  }

  public override func read(_ access: BusAccess) -> UInt64 {
    UInt64(
      state.withLock { state in
        defer { update(&state) }
        return read(access.offset, &state)
      })
  }

  private func read(_ register: UInt64, _ state: inout State) -> UInt8 {
    let latch = state.lineControl & 0x80 != 0
    switch register {
    case Serial16550Register.data:
      if latch { return UInt8(truncatingIfNeeded: state.divisor) }
      return state.received.isEmpty ? 0 : state.received.removeFirst()
    case Serial16550Register.interruptEnable:
      return latch ? UInt8(truncatingIfNeeded: state.divisor >> 8) : state.interruptEnable
    case Serial16550Register.interruptIdentification:
      let cause = interruptCause(state)
      if cause == 0x02 { state.transmitEmptyPending = false }
      return cause | (state.isFIFOEnabled ? 0xC0 : 0)
    case Serial16550Register.lineControl: return state.lineControl
    case Serial16550Register.modemControl: return state.modemControl
    case Serial16550Register.lineStatus:
      // THRE and TEMT: transmission takes no time.
      let status: UInt8 = 0x60 | (state.received.isEmpty ? 0 : 0x01) | (state.overrun ? 0x02 : 0)
      state.overrun = false
      return status
    case Serial16550Register.modemStatus:
      if state.modemControl & 0x10 != 0 { return loopbackModemStatus(state.modemControl) }
      return 0xB0  // DCD, DSR, CTS: a terminal is there
    default: return state.scratch
    }
  }

  /// In loopback the outputs DTR, RTS, OUT1, OUT2 drive DSR, CTS, RI, DCD.
  private func loopbackModemStatus(_ control: UInt8) -> UInt8 {
    (control & 0x01) << 5 | (control & 0x02) << 3 | (control & 0x04) << 4 | (control & 0x08) << 4
  }

  public override func write(_ access: BusAccess, _ value: UInt64) {
    let byte = UInt8(truncatingIfNeeded: value)
    let transmits = state.withLock { state in
      defer { update(&state) }
      return write(access.offset, byte, &state)
    }
    if transmits { backend.transmit(byte) }
  }

  /// Whether `byte` leaves by the line.
  private func write(_ register: UInt64, _ byte: UInt8, _ state: inout State) -> Bool {
    let latch = state.lineControl & 0x80 != 0
    switch register {
    case Serial16550Register.data:
      if latch {
        state.divisor = state.divisor & 0xFF00 | UInt16(byte)
        return false
      }
      state.transmitEmptyPending = true
      guard state.modemControl & 0x10 == 0 else {
        if state.received.count < 16 { state.received.append(byte) } else { state.overrun = true }
        return false
      }
      return true
    case Serial16550Register.interruptEnable:
      if latch {
        state.divisor = state.divisor & 0x00FF | UInt16(byte) << 8
        return false
      }
      // Enabling the transmitter's interrupt while it is empty raises it.
      if byte & 0x02 != 0, state.interruptEnable & 0x02 == 0 { state.transmitEmptyPending = true }
      state.interruptEnable = byte & 0x0F
    case Serial16550Register.interruptIdentification:
      state.isFIFOEnabled = byte & 0x01 != 0
      // What is not in the FIFO yet is still on its way.
      if byte & 0x02 != 0 { state.received.removeFirst(min(16, state.received.count)) }
      state.trigger = state.isFIFOEnabled ? [1, 4, 8, 14][Int(byte >> 6)] : 1
    case Serial16550Register.lineControl: state.lineControl = byte
    case Serial16550Register.modemControl: state.modemControl = byte & 0x1F
    case Serial16550Register.scratch: state.scratch = byte
    default: break
    }
    return false
  }

  /// IIR without the FIFO bits, by priority (PC16550D, table IV).
  private func interruptCause(_ state: State) -> UInt8 {
    if state.interruptEnable & 0x04 != 0, state.overrun { return 0x06 }
    if state.interruptEnable & 0x01 != 0, !state.received.isEmpty {
      // Below the trigger the FIFO's time-out interrupts; here no more follows at once, so it has run out.
      return state.received.count >= state.trigger ? 0x04 : 0x0C
    }
    if state.interruptEnable & 0x02 != 0, state.transmitEmptyPending { return 0x02 }
    return 0x01
  }

  private func update(_ state: inout State) {
    // OUT2 gates the line on a PC.
    let wanted = interruptCause(state) != 0x01 && state.modemControl & 0x08 != 0
    guard wanted != state.asserted else { return }
    state.asserted = wanted
    line.set(asserted: wanted)
  }
}
