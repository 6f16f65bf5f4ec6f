import Registers
import Threads

/// PCI bus 0, and configuration mechanism #1 at 0xCF8 and 0xCFC to access it (PCI 3.0, 3.2.2.3.2).
///
/// Only dword accesses reach the address latch; the byte at 0xCF9 is the PIIX3's reset control. Therefore writes of the
/// latch are not coalesced. KVM matches a zone by address alone, so the reset byte would wait in the ring while the
/// guest spins or halts without another exit.
public final class PCIHostBridge: BusTarget {
  private struct State {
    var address: UInt32 = 0
    /// Indexed by device and function number.
    var functions: [PCIFunction?] = Array(repeating: nil, count: 256)
  }
  private let state = Guarded(.leaf, State())
  /// Held during a whole configuration access, so that a BAR moves in one step.
  private let accessing = Guarded(.configurationAccess, ())
  private let resetControl = Guarded<(any BusTarget)?>(.leaf, nil)

  public init() {}

  /// Maps ports 0xCF8 to 0xCFF on `bus`.
  public func attach(to bus: Bus) {
    bus.map(BusRange("pci-configuration", .port, at: UInt64(PCIConfigurationPort.address), size: 8, target: self))
  }

  /// Forwards byte accesses of port 0xCF9 to `target`, at offset 0 of its range 0.
  public func connectResetControl(_ target: any BusTarget) { resetControl.withLock { $0 = target } }

  /// The reset control, if `access` is a byte access of its port.
  private func resetControl(for access: BusAccess) -> (any BusTarget)? {
    guard access.width == 1, access.offset == UInt64(PIIX3ResetControl.port - PCIConfigurationPort.address) else {
      return nil
    }
    return resetControl.withLock { $0 }
  }

  /// Adds `function` to bus 0 with a device and a function number.
  public func plug(_ function: PCIFunction, device: Int, function number: Int = 0) {
    state.withLock { $0.functions[(device & 31) << 3 | (number & 7)] = function }
  }

  /// All functions, with their device and function numbers, in bus order.
  public var functions: [(device: Int, number: Int, function: PCIFunction)] {
    state.withLock { state in
      state.functions.enumerated().compactMap { index, function in
        function.map { (index >> 3, index & 7, $0) }
      }
    }
  }

  public func read(_ access: BusAccess) -> UInt64 {
    if let register = resetControl(for: access) { return register.read(BusAccess(region: 0, offset: 0, width: 1)) }
    return accessing.withLock { _ in
      if access.offset == 0, access.width == 4 { return UInt64(state.withLock { $0.address }) }
      guard let (function, register) = target(of: access) else { return ~0 }
      return UInt64(function.readConfiguration(register, width: min(access.width, 4)))
    }
  }

  public func write(_ access: BusAccess, _ value: UInt64) {
    if let register = resetControl(for: access) {
      return register.write(BusAccess(region: 0, offset: 0, width: 1), value)
    }
    accessing.withLock { _ in
      if access.offset == 0, access.width == 4 {
        state.withLock { $0.address = UInt32(truncatingIfNeeded: value) & 0x80FF_FFFC }
        return
      }
      guard let (function, register) = target(of: access) else { return }
      let width = min(access.width, 4)
      guard function.writeConfiguration(register, UInt32(truncatingIfNeeded: value), width: width) else { return }
      for other in functions where other.function !== function { other.function.retryBaseAddresses() }
    }
  }

  /// CONFADD or, for the data window, the function's register (PCI 3.0, 6.1).
  public func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    if resetControl(for: access) != nil { return "RST_CNT" }
    guard access.offset >= 4 else { return "CONFADD" }
    guard let (function, register) = target(of: access) else { return "CONFDATA (nothing)" }
    return "CONFDATA \(function.name) \(PCIRegister.name(at: register))"
  }

  /// The function and register that the data window accesses; nil for a disabled latch, another bus or an empty slot.
  private func target(of access: BusAccess) -> (PCIFunction, Int)? {
    guard access.offset >= 4 else { return nil }
    return state.withLock { state in
      guard state.address & PCIConfigurationPort.enable != 0, state.address >> 16 & 0xFF == 0 else { return nil }
      guard let function = state.functions[Int(state.address >> 8 & 0xFF)] else { return nil }
      return (function, Int(state.address & 0xFC) + Int(access.offset - 4))
    }
  }
}
