/// How a machine's run ended.
package enum MachineOutcome: Sendable {
  /// The guest wrote this value to the debug-exit port.
  case ended(UInt32)
  /// The guest turned the power off (ACPI S5).
  case poweredOff
  /// The guest reset the machine, as a reboot does. There is no firmware to begin again.
  case reset
  /// The guest died, or fell silent.
  case crashed(CrashReport)
  /// Somebody outside ended it.
  case stopped
  /// It ran longer than its configuration allows.
  case timedOut

  /// The status of a process that ran this machine: 0 for success, 2 for a crash, 4 for a reset, 124 for a time-out, and for a guest
  /// that ended with a value v > 0 what QEMU's isa-debug-exit makes of it: 2v + 1.
  package var status: Int32 {
    switch self {
    case .ended(0), .poweredOff, .stopped: 0
    case .reset: 4
    case .ended(let value): Int32((value &* 2 &+ 1) & 0xFF)
    case .crashed: 2
    case .timedOut: 124
    }
  }
}
