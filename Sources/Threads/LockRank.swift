/// The lock order: while a thread holds a lock it may take locks of higher ranks only.
///
/// This list is the one place that says so. Debug builds check each `Guarded.withLock` against it, so a wrong order ends
/// the test that first runs into it, whether or not a second thread is there to deadlock with. Docs/EventLoop.md has the
/// list as a table, with what each lock guards.
public enum LockRank: UInt8, Sendable, CaseIterable {
  /// A whole access to configuration space: a BAR moves in one step.
  case configurationAccess
  /// Fixed port ranges of a function that are no BARs.
  case fixedPorts
  /// A function's configuration space and where its BARs are mapped.
  case configuration
  /// Held while KVM's coalesced writes are applied, so it comes before every device.
  case heldWrites
  /// A device's registers and rings. A thread never holds two of them.
  case device
  /// A function's MSI-X vectors, while the router takes a route.
  case messageRouting
  /// A function's MSI-X table and pending bits.
  case messages
  /// A PIRQ, while KVM takes its route.
  case pinRouting
  /// A function's INTx pin.
  case pin
  /// The functions that pull one PIRQ, and its level.
  case sharedPIRQ
  case pirq
  /// What pulls one input of the interrupt controllers, and its level.
  case sharedGSI
  case gsi
  /// KVM's table of routes.
  case interruptRoutes
  /// A device's timers, from before they are made to after they are gone.
  case timers
  /// What a loop watches and has to do, its timers included.
  case loop
  case timer
  /// A lock under which no other is taken.
  case leaf
}
