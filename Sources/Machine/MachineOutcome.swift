/// How a machine's run ended.
package enum MachineOutcome: Sendable {
  /// The guest wrote this value to the debug-exit port.
  case ended(UInt32)
  /// The guest turned the power off (ACPI S5).
  case poweredOff
  /// The guest reset the machine, as a reboot does. The run ends, because no firmware could boot again.
  case reset
  /// The guest crashed, or its watchdog expired.
  case crashed(CrashReport)
  /// `Machine.stop` ended it.
  case stopped
  /// It ran longer than `MachineConfiguration.timeout`.
  case timedOut

  /// The exit status for a process that ran this machine.
  ///
  /// 0 for success, 2 for a crash, 4 for a reset and 124 for a time-out. If the guest wrote a value v > 0 to the
  /// debug-exit port, the status is 2v + 1, as with QEMU's isa-debug-exit.
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
