/// The lock order: a thread that holds a lock may take only locks of higher ranks.
///
/// Debug builds check each `Guarded.withLock` against this list. A wrong order stops the first test that runs into it,
/// even if no second thread is there to deadlock with. Docs/EventLoop.md has the list as a table, with the state that
/// each lock guards.
public enum LockRank: UInt8, Sendable, CaseIterable {
  /// Held while a machine pauses or resumes its vCPUs and devices.
  case machinePause
  /// Held for a whole access to configuration space, so that a BAR moves in one step.
  case configurationAccess
  /// A function's fixed port ranges, which are not BARs.
  case fixedPorts
  /// A function's configuration space and the mappings of its BARs.
  case configuration
  /// Held while coalesced writes are applied to devices, so it comes before `device`.
  case heldWrites
  /// A device's registers and rings. A thread never holds two of them.
  case device
  /// A page of registers that the guest may access as RAM, and whether it is there.
  case registerPage
  /// A function's MSI-X vectors, while the router sets a route.
  case messageRouting
  /// A function's MSI-X table and pending bits.
  case messages
  /// A PIRQ, while KVM changes its route.
  case pinRouting
  /// A function's INTx pin.
  case pin
  /// The functions that assert one PIRQ, and its level.
  case sharedPIRQ
  case pirq
  /// The sources that assert one input of the interrupt controllers, and its level.
  case sharedGSI
  case gsi
  /// KVM's routing table.
  case interruptRoutes
  /// A device's timers, including their creation and removal.
  case timers
  /// A loop's watches, posted work and timers.
  case loop
  case timer
  /// A lock under which no other is taken.
  case leaf
}
