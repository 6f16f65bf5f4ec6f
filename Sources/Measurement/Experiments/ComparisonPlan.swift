import Failures
import GuestImages

/// How much `compare` measures.
package struct ComparisonOptions: Sendable {
  package enum Group: String, Sendable, CaseIterable { case cpu, disk, net }

  package var groups: Set<Group> = Set(Group.allCases)
  package var repetitions: Int
  /// Length of a sample in nanoseconds.
  package var duration: UInt64
  /// Bytes of the disk that the disk programs use.
  package var diskSpan: Int
  /// QEMU to measure beside swiftlet: a name or a path; nil for none.
  package var peer: String?
  /// The folder of the disk's file, which has no name and is gone after the run.
  package var directory: String

  /// Five samples of 1 s a point; or, quick, three of 0.2 s.
  package init(isQuick: Bool, directory: String) {
    repetitions = isQuick ? 3 : 5
    duration = isQuick ? 200_000_000 : 1_000_000_000
    diskSpan = isQuick ? 16 << 20 : 64 << 20
    self.directory = directory
  }
}

/// One row's point: what is measured, and how to make each side of it.
struct Point {
  struct Side {
    var mode: Record.Mode
    var device: Record.Device
    var vmm: String
    /// Boots or sets up what is sampled.
    var make: () throws -> any Sampled
  }

  var experiment: Record.Experiment
  var parameters: Record.Parameters
  var unit: String
  var sides: [Side]
  /// What the row is called while it is measured.
  var title: String
  /// The loop may poll, as a peer's does. FV and PV are compared without: IDE has no doorbell in memory.
  var polls = false
}

/// QEMU, and the guest that it boots.
final class Peer {
  let program: QEMUProgram
  /// The test guest, as a file that QEMU can open.
  let kernel: UnnamedFile

  init(_ program: QEMUProgram, folder: String) throws(Failure) {
    self.program = program
    kernel = try UnnamedFile(in: folder)
    try kernel.write(GuestImage.bytes)
  }
}
