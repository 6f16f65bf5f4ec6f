import CLinux
import Failures
import Glibc
import Threads

/// The table by which KVM turns a GSI into a pin of a controller or a message; the kernel takes it whole.
public final class InterruptRouting: Sendable {
  private struct State {
    var messages: [UInt32: (address: UInt64, data: UInt32)] = [:]
    var free: [UInt32] = []
    var next = firstMessageGSI
    var changes = 0
  }
  /// GSIs 0 to 23 are the IOAPIC's pins (0 to 15 the PICs' too); messages follow.
  private static let firstMessageGSI: UInt32 = 24
  /// KVM_MAX_IRQ_ROUTES is 4096; a guest cannot ask for more vectors than its devices have.
  private static let lastMessageGSI: UInt32 = 4000

  private let descriptor: Int32
  private let state = Guarded(.interruptRoutes, State())

  /// Installs the table without messages at once. KVM's own, as KVM_CREATE_IRQCHIP leaves it, has GSI 0 at pin 0 of the
  /// IOAPIC, and the timer's pin must not move when the first message gets its route.
  init(descriptor: Int32) throws(Failure) {
    self.descriptor = descriptor
    try change { _ in }
  }

  /// How often the kernel was given a table.
  public var changes: Int { state.withLock { $0.changes } }

  /// A GSI for a message route, or nil when all are taken.
  public func allocateGSI() -> UInt32? {
    state.withLock { state in
      if let free = state.free.popLast() { return free }
      guard state.next < Self.lastMessageGSI else { return nil }
      defer { state.next += 1 }
      return state.next
    }
  }

  /// Gives a GSI back and takes its route away.
  public func release(_ gsi: UInt32) throws(Failure) {
    try change { state in
      state.messages[gsi] = nil
      state.free.append(gsi)
    }
  }

  /// Lets `gsi` send a message. Nothing to do for the message it has: the kernel takes milliseconds for a new table.
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
      // As on a PC, the timer's GSI 0 is at pin 2 of the IOAPIC, and nothing is at its pin 0.
      for pin in 0..<UInt32(24) where pin != 2 { entries.append(clinux_route_pin(pin, 2, pin == 0 ? 2 : pin)) }
      for (gsi, message) in state.messages { entries.append(clinux_route_msi(gsi, message.address, message.data)) }
      state.changes += 1
      guard clinux_set_gsi_routing(descriptor, entries, UInt32(entries.count)) < 0 else { return 0 }
      let code = errno
      // What KVM refused is not there, and may be asked for again.
      state.messages = before
      return code
    }
    if result != 0 { throw Failure("route interrupts", errno: result) }
  }
}
