/// Sections that only a reproduction of the paper has.
extension ReportTable {
  /// How several VMs share processors and disks.
  func shares(_ lines: inout [String], _ rows: [Row]) {
    let modes = [Record.Mode.guest, .fullVirtualization, .paravirtualization]
    let shared = rows.filter { row in
      [.cpu, .fairness].contains(row.experiment) && row.parameters.vms ?? 1 > 1
    }
    section(
      &lines, "Shares of several VMs (Jain's index; the slowest as a part of the mean)",
      modes.flatMap { ["\($0.rawValue) Jain", "\($0.rawValue) slowest"] }, shared
    ) { row in
      modes.flatMap { [number(row[$0]?.fairness?.jain), number(row[$0]?.fairness?.worstShare)] }
    }
  }

  /// Bytes that reached the block device, in the end and by the time of the guest's flush.
  func amplification(_ lines: inout [String], _ rows: [Row]) {
    let modes = [Record.Mode.host, .fullVirtualization, .paravirtualization]
    section(
      &lines, "Bytes that reached the disk for each byte written (in the end; when the last flush was complete)",
      modes.flatMap { [$0.rawValue, "\($0.rawValue) at flush"] }, rows.filter { $0.experiment == .diskAmplification }
    ) { row in
      modes.flatMap { [number(row[$0]?.throughput?.mean), number(row[$0]?.durableShare)] }
    }
  }
}
