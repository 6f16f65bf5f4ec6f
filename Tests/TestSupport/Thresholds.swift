import Testing

/// The limit of one operation's cost, by count. This is the only list. Lower its limits when a change makes an
/// operation cheaper.
///
/// The figures are those of `swiftlet compare`, with room for a slow host: moderation depends on time, so fewer frames
/// share an interrupt there. Bytes and the accesses of a disk command do not vary.
package struct Threshold: Sendable, CustomTestStringConvertible {
  package enum Device: String, Sendable {
    case ide
    case virtioBlock = "virtio-blk"
    case e1000
    case virtioNet = "virtio-net"
  }

  package var device: Device
  /// Parameters of the guest's program.
  package var workload: String
  package var exits: Double
  package var interrupts: Double
  /// Bytes that the VMM copies: a received frame is copied once.
  package var bytesCopied: Double

  init(_ device: Device, _ workload: String, exits: Double, interrupts: Double, bytesCopied: Double) {
    self.device = device
    self.workload = workload
    self.exits = exits
    self.interrupts = interrupts
    self.bytesCopied = bytesCopied
  }

  package var testDescription: String { "\(device.rawValue) \(workload)" }

  /// Heap allocations of a device and its loop for an operation, on a bench without a CPU.
  ///
  /// An optimized build has none. Without optimization, closures and captured variables are on the heap too: the figure
  /// is the most that a device needs there.
  #if DEBUG
    package static let allocations = 16.0
  #else
    package static let allocations = 0.0
  #endif

  package static let disks = [
    Threshold(.ide, "operation=read block=4096 style=lean", exits: 4.1, interrupts: 1.05, bytesCopied: 0),
    Threshold(.ide, "operation=write block=65536 style=lean", exits: 4.1, interrupts: 1.05, bytesCopied: 0),
    Threshold(.ide, "operation=read block=4096 style=linux", exits: 15.1, interrupts: 1.05, bytesCopied: 0),
    Threshold(.virtioBlock, "operation=read block=4096", exits: 0, interrupts: 1.05, bytesCopied: 0),
    Threshold(.virtioBlock, "operation=write block=65536", exits: 0, interrupts: 1.05, bytesCopied: 0),
    Threshold(.virtioBlock, "operation=random-read block=4096 depth=32", exits: 0, interrupts: 0.25, bytesCopied: 0),
  ]

  package static let networks = [
    Threshold(.e1000, "operation=send frame=60", exits: 0.3, interrupts: 0.3, bytesCopied: 2),
    Threshold(.e1000, "operation=send frame=1514", exits: 0.3, interrupts: 0.3, bytesCopied: 2),
    Threshold(.e1000, "operation=send frame=64294", exits: 3, interrupts: 1.5, bytesCopied: 120),
    Threshold(.e1000, "operation=receive frame=60", exits: 0.3, interrupts: 0.3, bytesCopied: 62),
    Threshold(.e1000, "operation=receive frame=1514", exits: 0.3, interrupts: 0.3, bytesCopied: 1516),
    // The switch makes headers of 45 segments for a NIC that accepts no large frames.
    Threshold(.e1000, "operation=receive frame=64294", exits: 3, interrupts: 1.5, bytesCopied: 70_000),
    Threshold(.virtioNet, "operation=send frame=60", exits: 0.01, interrupts: 0.3, bytesCopied: 2),
    Threshold(.virtioNet, "operation=send frame=1514", exits: 0.01, interrupts: 0.3, bytesCopied: 2),
    Threshold(.virtioNet, "operation=send frame=64294", exits: 0.01, interrupts: 1.5, bytesCopied: 40),
    Threshold(.virtioNet, "operation=receive frame=60", exits: 0.01, interrupts: 0.3, bytesCopied: 61),
    Threshold(.virtioNet, "operation=receive frame=1514", exits: 0.01, interrupts: 0.3, bytesCopied: 1515),
    Threshold(.virtioNet, "operation=receive frame=64294", exits: 0.01, interrupts: 1.5, bytesCopied: 64_300),
  ]
}
