import Bus
import Registers

/// Register accesses, on vCPU threads.
extension IDEController {
  /// The ranges that the function answers besides BAR 4: four blocks of legacy ports.
  enum Region {
    /// The command block of channel n is 10 + 2n, the control block 11 + 2n.
    static var legacy: Int { 10 }
  }

  /// Runs `body` under the lock, and wakes the loop if it left something to do.
  @inline(__always)
  func locked<Value: Sendable>(_ channel: IDEChannel, _ body: (IDEChannel) -> Value) -> Value {
    let (value, rings) = lock.withLock { _ in
      // A stop frees the registers that a busy drive owns.
      if channel.isBusy { takeQuietCommands(channel) }
      let value = body(channel)
      return (value, channel.takeNeed())
    }
    if rings { ring() }
    return value
  }

  /// The channel of a legacy range, and whether the range is its control block.
  private func legacyChannel(_ region: Int) -> (IDEChannel, isControl: Bool)? {
    guard region >= Region.legacy else { return nil }
    let index = region - Region.legacy
    return (channel(index >> 1 & 1), index & 1 == 1)
  }

  /// The channel whose data register is accessed.
  func dataChannel(_ access: BusAccess) -> IDEChannel? {
    guard access.offset == 0, let (channel, isControl) = legacyChannel(access.region), !isControl else { return nil }
    return channel
  }

  func readElement(_ access: BusAccess) -> UInt64 {
    guard let (channel, isControl) = legacyChannel(access.region) else { return readBusMaster(access) }
    return locked(channel) { channel in
      var value: UInt64 = 0
      if !isControl, access.offset == 0 {
        withUnsafeMutableBytes(of: &value) { bytes in
          channel.readData(into: UnsafeMutableRawBufferPointer(rebasing: bytes[0..<min(access.width, 8)]))
        }
        return value
      }
      // A wider access to 8-bit registers is split into accesses to consecutive ports.
      for index in 0..<access.width {
        let register = UInt16(truncatingIfNeeded: access.offset) &+ UInt16(index)
        let byte: UInt8
        if isControl {
          byte = register == 0 ? channel.status : 0xFF
        } else {
          byte = register < ATARegister.size ? channel.readCommandBlock(register) : 0xFF
        }
        value |= UInt64(byte) << UInt64(8 * index)
      }
      return value
    }
  }

  func writeElement(_ access: BusAccess, _ value: UInt64) {
    guard let (channel, isControl) = legacyChannel(access.region) else { return writeBusMaster(access, value) }
    locked(channel) { channel in
      if !isControl, access.offset == 0 {
        withUnsafeBytes(of: value) { bytes in
          channel.writeData(from: UnsafeRawBufferPointer(rebasing: bytes[0..<min(access.width, 8)]))
        }
        return
      }
      for index in 0..<access.width {
        let register = UInt16(truncatingIfNeeded: access.offset) &+ UInt16(index)
        let byte = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        if isControl {
          if register == 0 { channel.writeControl(byte) }
        } else if register < ATARegister.size {
          // A command looks at the engine.
          if register == ATARegister.command { takeQuietCommands(channel) }
          channel.writeCommandBlock(register, byte)
        }
      }
    }
  }

  /// The channel whose bus master has a port, and the port's offset in it.
  private func engine(_ access: BusAccess, _ index: Int) -> (IDEChannel, offset: UInt16) {
    let port = UInt16(truncatingIfNeeded: access.offset) &+ UInt16(index)
    return (channel(Int(port >> 3 & 1)), port & 7)
  }

  private func readBusMaster(_ access: BusAccess) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<access.width {
      let (channel, offset) = engine(access, index)
      let byte = locked(channel) { channel in
        takeQuietCommands(channel)
        return channel.engine.read(offset)
      }
      value |= UInt64(byte) << UInt64(8 * index)
    }
    return value
  }

  private func writeBusMaster(_ access: BusAccess, _ value: UInt64) {
    for index in 0..<access.width {
      let (channel, offset) = engine(access, index)
      locked(channel) { channel in
        takeQuietCommands(channel)
        channel.writeEngine(offset, UInt8(truncatingIfNeeded: value >> UInt64(8 * index)))
      }
    }
  }

  /// Applies what KVM took for BMIC. Before anything looks at the engine, with the lock held.
  func takeQuietCommands(_ channel: IDEChannel) {
    if let value = quietCommands[channel.number].take() { channel.writeEngine(BusMasterIDERegister.command, value) }
  }
}

extension IDEChannel {
  /// Whether the loop has to be woken; asked once after each access.
  func takeNeed() -> Bool {
    defer { needsLoop = false }
    return needsLoop
  }
}
