import CLinux
import Failures
import Glibc
import Threads

/// KVM's routing table, which maps each GSI to pins of interrupt controllers or to a message. The kernel only accepts a
/// whole table.
public final class InterruptRouting: Sendable {
  private struct State {
    var messages: [UInt32: (address: UInt64, data: UInt32)] = [:]
    var free: [UInt32] = []
    var next = firstMessageGSI
    var changes = 0
  }
  /// GSIs 0 to 23 are pins of the IOAPIC, and 0 to 15 also pins of the PICs. GSIs of messages follow.
  private static let firstMessageGSI: UInt32 = 24
  /// Below KVM_MAX_IRQ_ROUTES, which is 4096. A guest cannot use more vectors than its devices have.
  private static let lastMessageGSI: UInt32 = 4000

  private let descriptor: Int32
  private let state = Guarded(.interruptRoutes, State())

  /// Installs the table without messages at once. The table of KVM_CREATE_IRQCHIP has GSI 0 at pin 0 of the IOAPIC, and
  /// the timer's pin must not move when the first message gets its route.
  init(descriptor: Int32) throws(Failure) {
    self.descriptor = descriptor
    try change { _ in }
  }

  /// Number of tables that were passed to the kernel, including those that it refused.
  public var changes: Int { state.withLock { $0.changes } }

  /// Allocates a GSI for a message route; nil if all are in use.
  public func allocateGSI() -> UInt32? {
    state.withLock { state in
      if let free = state.free.popLast() { return free }
      guard state.next < Self.lastMessageGSI else { return nil }
      defer { state.next += 1 }
      return state.next
    }
  }

  /// Frees a GSI and removes its route.
  public func release(_ gsi: UInt32) throws(Failure) {
    try change { state in
      state.messages[gsi] = nil
      state.free.append(gsi)
    }
  }

  /// Routes `gsi` to a message. Does nothing if it has this message already: the kernel takes milliseconds for a table.
  public func setMessage(_ gsi: UInt32, address: UInt64, data: UInt32) throws(Failure) {
    guard state.withLock({ $0.messages[gsi].map { $0 == (address, data) } != true }) else { return }
    try change { $0.messages[gsi] = (address, data) }
  }

  private func change(_ body: (inout sending State) -> Void) throws(Failure) {
    let result = state.withLock { state -> Int32 in
      let before = state.messages
      body(&state)
      var entries: [kvm_irq_routing_entry] = []
      for pin in 0..<UInt32(16) { entries.append(clinux_route_pin(pin, pin / 8, pin % 8)) }
      // As on a PC, GSI 0 (the timer) is at pin 2 of the IOAPIC, and pin 0 is not connected.
      for pin in 0..<UInt32(24) where pin != 2 { entries.append(clinux_route_pin(pin, 2, pin == 0 ? 2 : pin)) }
      for (gsi, message) in state.messages { entries.append(clinux_route_msi(gsi, message.address, message.data)) }
      state.changes += 1
      guard clinux_set_gsi_routing(descriptor, entries, UInt32(entries.count)) < 0 else { return 0 }
      let code = errno
      // KVM still has the old table. The caller may retry.
      state.messages = before
      return code
    }
    if result != 0 { throw Failure("route interrupts", errno: result) }
  }
}
