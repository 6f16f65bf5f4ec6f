import Backends
import Bus
import DequeModule
import Registers
import Threads

/// The 16550A UART behind COM1 (National PC16550D datasheet): eight byte-wide registers.
///
/// A byte is sent as soon as it is written. The transmitter is full while the backend has no room. One lock guards the
/// state; `receive` may be called on any thread.
package final class Serial16550: ByteTarget {
  private struct State {
    var interruptEnable: UInt8 = 0
    var lineControl: UInt8 = 0
    var modemControl: UInt8 = 0
    var scratch: UInt8 = 0
    var divisor: UInt16 = 1
    var isFIFOEnabled = false
    /// Number of bytes in the receiver FIFO that raises the received-data interrupt.
    var trigger = 1
    /// Bytes that the guest can read: up to 16, or one without FIFOs.
    var fifo: Deque<UInt8> = []
    /// Bytes from the host that are not in the FIFO yet, as if they were still on the wire.
    var waiting: Deque<UInt8> = []
    /// `waiting` was more than half full. The host is notified when the guest has read down to half.
    var isFilled = false
    var overrun = false
    /// The holding register became empty, and the guest has not read this from IIR yet.
    var transmitEmptyPending = false
    var asserted = false

    var isLoopback: Bool { modemControl & 0x10 != 0 }
    var fifoSize: Int { isFIFOEnabled ? 16 : 1 }
    /// Bytes that the host may send now. Loopback may fill the FIFO beyond the limit, so the difference may be
    /// negative.
    var inputRoom: Int { max(0, Serial16550.inputLimit - waiting.count - fifo.count) }

    /// Moves waiting bytes into the FIFO when the guest looks for data. So a guest that clears the FIFO drops only
    /// bytes that it could have read.
    mutating func fill() {
      guard !isLoopback else { return }
      while fifo.count < fifoSize, let byte = waiting.popFirst() { fifo.append(byte) }
    }
  }

  /// Maximum number of bytes from the host that wait. Bytes beyond `inputRoom` are dropped, as on a line without flow
  /// control.
  private static let inputLimit = 4096

  private let state = Guarded(.device, State())
  private let line: any InterruptLine
  private let backend: any SerialBackend
  private let inputDrained = Guarded<(@Sendable () -> Void)?>(.leaf, nil)

  package init(line: any InterruptLine, backend: any SerialBackend) {
    self.line = line
    self.backend = backend
    backend.onRoom { [weak self] in self?.transmitterEmptied() }
  }

  /// Maps eight ports from `base` on (0x3F8 for COM1).
  package func attach(to bus: Bus, base: UInt64 = 0x3F8) {
    bus.map(BusRange("serial", .port, at: base, size: 8, target: self))
  }

  /// The register's name, from the National PC16550D datasheet, table II. DLL and DLM have the names of the registers
  /// at their offsets without DLAB.
  package func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    let names =
      isWrite
      ? ["THR", "IER", "FCR", "LCR", "MCR", "LSR", "MSR", "SCR"]
      : ["RBR", "IER", "IIR", "LCR", "MCR", "LSR", "MSR", "SCR"]
    return access.offset < 8 ? names[Int(access.offset)] : nil
  }

  // MARK: From the host

  /// Number of bytes that `receive` takes now.
  package var inputRoom: Int { state.withLock { $0.inputRoom } }

  /// Sets the function that is called, on a vCPU's thread, when the waiting input has become at most half full again.
  package func onInputDrained(_ body: @escaping @Sendable () -> Void) { inputDrained.withLock { $0 = body } }

  /// Passes bytes from the host to the guest. Returns the number of bytes taken.
  @discardableResult
  package func receive(_ bytes: [UInt8]) -> Int {
    state.withLock { state in
      let taken = min(bytes.count, state.inputRoom)
      state.waiting.append(contentsOf: bytes.prefix(taken))
      if taken < bytes.count { state.overrun = true }
      if state.waiting.count > Self.inputLimit / 2 { state.isFilled = true }
      update(&state)
      return taken
    }
  }

  /// The backend has room again.
  private func transmitterEmptied() {
    state.withLock { state in
      state.transmitEmptyPending = true
      update(&state)
    }
  }

  // MARK: Registers

  package func byteCount(region: Int) -> UInt64 { 8 }

  package func readByte(region: Int, offset: UInt64) -> UInt8 {
    let (value, isDrained) = state.withLock { state in
      state.fill()
      let value = read(offset, &state)
      update(&state)
      let isDrained = state.isFilled && state.waiting.count <= Self.inputLimit / 2
      if isDrained { state.isFilled = false }
      return (value, isDrained)
    }
    if isDrained { inputDrained.withLock { $0 }?() }
    return value
  }

  private func read(_ register: UInt64, _ state: inout State) -> UInt8 {
    let latch = state.lineControl & 0x80 != 0
    switch register {
    case Serial16550Register.data:
      if latch { return UInt8(truncatingIfNeeded: state.divisor) }
      return state.fifo.popFirst() ?? 0
    case Serial16550Register.interruptEnable:
      return latch ? UInt8(truncatingIfNeeded: state.divisor >> 8) : state.interruptEnable
    case Serial16550Register.interruptIdentification:
      let cause = interruptCause(state)
      if cause == 0x02 { state.transmitEmptyPending = false }
      return cause | (state.isFIFOEnabled ? 0xC0 : 0)
    case Serial16550Register.lineControl: return state.lineControl
    case Serial16550Register.modemControl: return state.modemControl
    case Serial16550Register.lineStatus:
      // THRE and TEMT.
      let isEmpty = state.isLoopback || backend.hasRoom
      let status: UInt8 = (isEmpty ? 0x60 : 0) | (state.fifo.isEmpty ? 0 : 0x01) | (state.overrun ? 0x02 : 0)
      state.overrun = false
      return status
    case Serial16550Register.modemStatus:
      if state.isLoopback { return loopbackModemStatus(state.modemControl) }
      return 0xB0  // DCD, DSR, CTS: a terminal is connected
    default: return state.scratch
    }
  }

  /// In loopback, the outputs DTR, RTS, OUT1 and OUT2 drive DSR, CTS, RI and DCD.
  private func loopbackModemStatus(_ control: UInt8) -> UInt8 {
    (control & 0x01) << 5 | (control & 0x02) << 3 | (control & 0x04) << 4 | (control & 0x08) << 4
  }

  package func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    let transmits = state.withLock { state in
      defer { update(&state) }
      return write(offset, value, &state)
    }
    guard transmits else { return }
    backend.transmit(value)
    // Otherwise the backend calls `transmitterEmptied` when it has room.
    if backend.hasRoom { transmitterEmptied() }
  }

  /// Writes a register. Returns whether `byte` must be transmitted.
  private func write(_ register: UInt64, _ byte: UInt8, _ state: inout State) -> Bool {
    let latch = state.lineControl & 0x80 != 0
    switch register {
    case Serial16550Register.data:
      if latch {
        state.divisor = state.divisor & 0xFF00 | UInt16(byte)
        return false
      }
      guard state.isLoopback else {
        state.transmitEmptyPending = false
        return true
      }
      state.transmitEmptyPending = true
      loopBack(byte, &state)
    case Serial16550Register.interruptEnable:
      if latch {
        state.divisor = state.divisor & 0x00FF | UInt16(byte) << 8
        return false
      }
      // Enabling the interrupt while the transmitter is empty raises it.
      if byte & 0x02 != 0, state.interruptEnable & 0x02 == 0, state.isLoopback || backend.hasRoom {
        state.transmitEmptyPending = true
      }
      state.interruptEnable = byte & 0x0F
    case Serial16550Register.interruptIdentification:
      let isEnabled = byte & 0x01 != 0
      // 8.5: a change of bit 0 clears the FIFOs as well.
      if byte & 0x02 != 0 || isEnabled != state.isFIFOEnabled { state.fifo.removeAll() }
      state.isFIFOEnabled = isEnabled
      state.trigger = isEnabled ? [1, 4, 8, 14][Int(byte >> 6)] : 1
    case Serial16550Register.lineControl: state.lineControl = byte
    case Serial16550Register.modemControl: state.modemControl = byte & 0x1F
    case Serial16550Register.scratch: state.scratch = byte
    default: break
    }
    return false
  }

  /// Receives a byte in loopback. If it does not fit, it overruns: with FIFOs it is dropped (8.4), without them it
  /// replaces the last byte.
  private func loopBack(_ byte: UInt8, _ state: inout State) {
    guard state.fifo.count >= state.fifoSize else { return state.fifo.append(byte) }
    state.overrun = true
    if !state.isFIFOEnabled { state.fifo = [byte] }
  }

  /// IIR without the FIFO bits, by priority (PC16550D, table IV).
  private func interruptCause(_ state: State) -> UInt8 {
    if state.interruptEnable & 0x04 != 0, state.overrun { return 0x06 }
    if state.interruptEnable & 0x01 != 0, !state.fifo.isEmpty {
      // Below the trigger level, the FIFO's time-out interrupts. Here it expires at once.
      return state.fifo.count >= state.trigger ? 0x04 : 0x0C
    }
    if state.interruptEnable & 0x02 != 0, state.transmitEmptyPending { return 0x02 }
    return 0x01
  }

  private func update(_ state: inout State) {
    // With the received-data interrupt enabled, the guest looks for data only after an interrupt.
    if state.interruptEnable & 0x01 != 0 { state.fill() }
    // On a PC, OUT2 gates the line.
    let wanted = interruptCause(state) != 0x01 && state.modemControl & 0x08 != 0
    guard wanted != state.asserted else { return }
    state.asserted = wanted
    line.set(asserted: wanted)
  }
}
