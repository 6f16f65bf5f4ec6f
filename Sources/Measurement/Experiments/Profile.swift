import KVM
import Machine

/// The accelerations of a time: what `compare --profile` leaves on.
package enum Profile: String, Sendable, CaseIterable {
  /// KVM 84 of February 2009, which the paper measured.
  case year2009 = "2009"

  /// The accelerations that a disk's machine goes without.
  ///
  /// - ioeventfd and irqfd: Linux 2.6.32, December 2009.
  /// - MSI-X of virtio: Linux 2.6.31, September 2009.
  /// - EVENT_IDX: Linux 3.0, 2011.
  /// - Held writes to ports: Linux 4.20, 2018. Writes to memory could be held since Linux 2.6.27, October 2008, but an IDE
  ///   disk has ports only.
  var diskSwitches: [AccelerationSwitch] { [.ioeventfd, .irqfd, .coalescing, .msix, .eventIndex] }

  /// The accelerations that a NIC's machine goes without.
  ///
  /// - QEMU's e1000 delays interrupts since 2013. It held writes in 2008.
  /// - No VMM has tails in RAM.
  var networkSwitches: [AccelerationSwitch] { [.ioeventfd, .irqfd, .msix, .eventIndex, .tailPages, .moderation] }

  /// How its guests learn that a device is done, on this host's KVM.
  var interrupts: String { interrupts(on: System.kind) }

  /// The same on a kind of KVM.
  ///
  /// Without irqfd, an interrupt takes 70 ms to wake a halted vCPU of a software KVM, so guests poll there.
  func interrupts(on kind: KVMKind) -> String { kind == .pvm ? "poll" : "irq" }

  /// A line for the head of a report.
  func sentence(interrupts: String) -> String {
    let reason =
      interrupts == "poll" ? "; guests poll, because KVM_IRQ_LINE wakes a vCPU of this KVM only after 70 ms" : ""
    return "Profile \(rawValue): without the accelerations that KVM 84 did not have" + reason
  }
}

extension ComparisonOptions {
  /// How guests learn that a device is done: "irq" or "poll".
  var interrupts: String { profile?.interrupts ?? "irq" }
}
