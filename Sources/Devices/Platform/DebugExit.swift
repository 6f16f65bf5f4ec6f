import Bus

/// A port by which a test guest ends its machine, like QEMU's `isa-debug-exit`.
package final class DebugExit: BusTarget {
  private let ended: @Sendable (UInt32) -> Void

  /// `ended` is called with each value written, on the vCPU's thread.
  package init(ended: @escaping @Sendable (UInt32) -> Void) { self.ended = ended }

  /// Maps four ports from `base` on.
  package func attach(to bus: Bus, base: UInt64 = 0xF4) {
    bus.map(BusRange("debug-exit", .port, at: base, size: 4, target: self))
  }

  package func read(_ access: BusAccess) -> UInt64 { 0 }

  package func write(_ access: BusAccess, _ value: UInt64) { ended(UInt32(truncatingIfNeeded: value)) }
}
