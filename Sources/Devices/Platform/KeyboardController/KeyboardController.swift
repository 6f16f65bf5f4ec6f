import Bus
import Registers
import Threads

/// The PC's keyboard controller (8042): ports 0x60 and 0x64, IRQ 1 for the keyboard, IRQ 12 for the auxiliary device.
///
/// No device is connected. The controller answers a byte for a device at once with its time-out answer (status TO,
/// 0xFE), so that a driver gives up without waiting. Commands take no time, so the input buffer is never full. Address
/// line 20 is always enabled; its bit of the output port only reads back. One lock guards the state.
package final class KeyboardController: ByteTarget {
  private struct State {
    /// Byte 0 is the command byte. Initially, as after firmware: self-test passed, both devices disabled.
    var memory: [UInt8] =
      [
        I8042CommandByte.systemFlag | I8042CommandByte.disableKeyboard | I8042CommandByte.disableAuxiliary
          | I8042CommandByte.translate
      ] + Array(repeating: 0, count: 31)
    var output = I8042Output()
    /// The command that waits for its data byte.
    var command: UInt8?
    /// The last write was to port 0x64 (bit A2 of the status register).
    var commandWritten = false
    var addressLine20 = I8042OutputPort.addressLine20
  }

  private enum Region: Int { case data, command }

  private let state = Guarded(.device, State())
  private let keyboardLine: any InterruptLine
  private let auxiliaryLine: any InterruptLine
  private let reset: @Sendable () -> Void

  /// `keyboardLine` is IRQ 1, `auxiliaryLine` IRQ 12; `reset` is called on the vCPU's thread when bit 0 of the output
  /// port goes low.
  package init(
    keyboardLine: any InterruptLine, auxiliaryLine: any InterruptLine, reset: @escaping @Sendable () -> Void
  ) {
    self.keyboardLine = keyboardLine
    self.auxiliaryLine = auxiliaryLine
    self.reset = reset
  }

  /// Maps ports 0x60 and 0x64 on `bus`.
  package func attach(to bus: Bus) {
    bus.map(
      BusRange(
        "i8042-data", .port, at: UInt64(I8042Register.data), size: 1, target: self, region: Region.data.rawValue))
    bus.map(
      BusRange(
        "i8042-command", .port, at: UInt64(I8042Register.command), size: 1, target: self,
        region: Region.command.rawValue))
  }

  package func readByte(region: Int, offset: UInt64) -> UInt8 {
    state.withLock { state in
      if region == Region.command.rawValue { return status(state) }
      let byte = state.output.take()
      // The interrupts are edge-triggered, so lower the line between two bytes.
      driveLines(state)
      state.output.refill()
      driveLines(state)
      return byte
    }
  }

  package func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    let resets = state.withLock { state in
      let isCommand = region == Region.command.rawValue
      state.commandWritten = isCommand
      let resets = isCommand ? command(value, &state) : data(value, &state)
      driveLines(state)
      return resets
    }
    if resets { reset() }
  }

  private func status(_ state: State) -> UInt8 {
    var status = I8042Status.unlocked | (state.output.present?.status ?? 0)
    if state.memory[0] & I8042CommandByte.systemFlag != 0 { status |= I8042Status.systemFlag }
    if state.commandWritten { status |= I8042Status.commandWritten }
    return status
  }

  /// Executes a command. Returns whether it resets the machine.
  private func command(_ command: UInt8, _ state: inout State) -> Bool {
    // A command cancels one that still waits for its data.
    state.command = nil
    switch command {
    case I8042Command.readRAM..<I8042Command.readRAM + 32:
      answer(state.memory[Int(command - I8042Command.readRAM)], &state)
    case I8042Command.writeRAM..<I8042Command.writeRAM + 32, I8042Command.writeOutputPort, I8042Command.keyboardLoop,
      I8042Command.auxiliaryLoop, I8042Command.writeAuxiliary:
      state.command = command
    case I8042Command.disableAuxiliary: state.memory[0] |= I8042CommandByte.disableAuxiliary
    case I8042Command.enableAuxiliary: state.memory[0] &= ~I8042CommandByte.disableAuxiliary
    case I8042Command.disableKeyboard: state.memory[0] |= I8042CommandByte.disableKeyboard
    case I8042Command.enableKeyboard: state.memory[0] &= ~I8042CommandByte.disableKeyboard
    case I8042Command.testAuxiliary, I8042Command.testKeyboard: answer(I8042Answer.interfacePassed, &state)
    case I8042Command.selfTest:
      state.memory[0] |= I8042CommandByte.systemFlag
      answer(I8042Answer.selfTestPassed, &state)
    case I8042Command.readOutputPort: answer(outputPort(state), &state)
    case I8042Command.pulseOutputPort...0xFF: return command & I8042OutputPort.notReset == 0
    default: break
    }
    return false
  }

  /// Handles a byte written to port 0x60. Returns whether it resets the machine.
  private func data(_ byte: UInt8, _ state: inout State) -> Bool {
    let command = state.command
    state.command = nil
    switch command {
    case nil:
      // Sending a byte to a device enables its interface.
      state.memory[0] &= ~I8042CommandByte.disableKeyboard
      state.output.put(.init(byte: I8042Answer.timeOut, source: .keyboard, isTimeOut: true))
    case I8042Command.writeAuxiliary:
      state.memory[0] &= ~I8042CommandByte.disableAuxiliary
      state.output.put(.init(byte: I8042Answer.timeOut, source: .auxiliary, isTimeOut: true))
    case I8042Command.keyboardLoop: state.output.put(.init(byte: byte, source: .keyboard))
    case I8042Command.auxiliaryLoop: state.output.put(.init(byte: byte, source: .auxiliary))
    case I8042Command.writeOutputPort:
      state.addressLine20 = byte & I8042OutputPort.addressLine20
      return byte & I8042OutputPort.notReset == 0
    case let command?: state.memory[Int(command & 0x1F)] = byte
    }
    return false
  }

  private func answer(_ byte: UInt8, _ state: inout State) {
    state.output.put(.init(byte: byte, source: .controller))
  }

  private func outputPort(_ state: State) -> UInt8 {
    let wants = interrupts(state)
    return I8042OutputPort.notReset | state.addressLine20
      | (wants.keyboard ? I8042OutputPort.keyboardInterrupt : 0)
      | (wants.auxiliary ? I8042OutputPort.auxiliaryInterrupt : 0)
  }

  /// The interrupts for the byte in the output buffer, if the command byte enables them.
  private func interrupts(_ state: State) -> (keyboard: Bool, auxiliary: Bool) {
    guard let present = state.output.present else { return (false, false) }
    let isAuxiliary = present.source == .auxiliary
    return (
      !isAuxiliary && state.memory[0] & I8042CommandByte.keyboardInterrupt != 0,
      isAuxiliary && state.memory[0] & I8042CommandByte.auxiliaryInterrupt != 0
    )
  }

  private func driveLines(_ state: State) {
    let wants = interrupts(state)
    keyboardLine.set(asserted: wants.keyboard)
    auxiliaryLine.set(asserted: wants.auxiliary)
  }
}
