import Failures
import GuestImages
import Machine

/// The scope of a comparison.
package struct ComparisonOptions: Sendable {
  package enum Group: String, Sendable, CaseIterable { case cpu, disk, net, process, hpcc }

  /// All but `hpcc`, which `--only` must name.
  package var groups: Set<Group> = [.cpu, .disk, .net, .process]
  package var repetitions: Int
  /// Length of a sample in nanoseconds.
  package var duration: UInt64
  /// Bytes at the start of the disk that the disk programs use.
  package var diskSpan: Int
  /// The QEMU to compare with, as a name or a path; nil for none.
  package var peer: String?
  /// Makes the network namespaces of the peer's rows. A test puts a refusal here.
  var unshare: TapNetwork.Unshare = TapNetwork.unshare
  /// Measures what each acceleration contributes, instead of the usual points.
  package var ablates = false
  /// Turns off what a KVM of another time did not have; nil for a machine with all accelerations.
  package var profile: Profile?
  /// The executable `swiftlet`, for the rows that start it; nil to leave them out.
  package var executable: String?
  /// The directory of the disk's file, which is unlinked and disappears after the run.
  package var directory: String

  /// Sets five samples of 1 s per point, or three of 0.2 s if `isQuick`.
  package init(isQuick: Bool, directory: String) {
    repetitions = isQuick ? 3 : 5
    duration = isQuick ? 200_000_000 : 1_000_000_000
    diskSpan = isQuick ? 16 << 20 : 64 << 20
    self.directory = directory
  }
}

/// A point of measurement, which makes one row of the table, and the way to create each side of it.
struct Point {
  struct Side {
    var mode: Record.Mode
    var device: Record.Device
    var vmm: String
    /// The one acceleration that this side does without.
    var disabled: AccelerationSwitch?
    /// The side's own parameters, where they differ from the point's.
    var parameters: Record.Parameters?
    /// Boots the guest or sets up the host's program to sample.
    var make: () throws -> any Sampled
  }

  var experiment: Record.Experiment
  var parameters: Record.Parameters
  var unit: String
  var sides: [Side]
  /// The name in the progress display.
  var title: String
  /// Whether the loop may poll: in all rows where both sides have a doorbell in memory, which IDE has not, and where no
  /// more threads run than two cores can carry: one vCPU and the loop.
  var polls = false

  /// What the record of a side says about its parameters.
  func parameters(of side: Side) -> Record.Parameters {
    var parameters = side.parameters ?? parameters
    if let disabled = side.disabled { parameters.disabled = (parameters.disabled ?? []) + [disabled.rawValue] }
    return parameters
  }
}

/// QEMU, and the test guest that it boots.
final class Peer {
  let program: QEMUProgram
  /// The test guest, as a file that QEMU can open.
  let kernel: UnnamedFile

  init(_ program: QEMUProgram, folder: String) throws(Failure) {
    self.program = program
    kernel = try UnnamedFile(in: folder)
    try kernel.write(GuestImage.bytes)
  }

  init(_ program: QEMUProgram, kernel: UnnamedFile) { (self.program, self.kernel) = (program, kernel) }
}

extension Point {
  /// The accelerations that a device uses. Offloads are not among them: without them, a TSO program has nothing to send.
  private static func switches(of device: Record.Device) -> [AccelerationSwitch] {
    switch device {
    case .ide: [.ioeventfd, .irqfd, .coalescing]
    case .e1000: [.irqfd, .coalescing, .tailPages, .moderation]
    case .virtioBlock, .virtioNet: [.ioeventfd, .irqfd, .msix, .eventIndex]
    case .cpu, .none: []
    }
  }

  /// A device with all accelerations, and with each of them off alone.
  static func ablation(
    _ experiment: Record.Experiment, _ parameters: Record.Parameters, unit: String, mode: Record.Mode,
    device: Record.Device, title: String, _ make: @escaping (Set<AccelerationSwitch>) throws -> any Sampled
  ) -> Point {
    let sides = ([nil] + switches(of: device)).map { name in
      Side(mode: mode, device: device, vmm: "swiftlet", disabled: name) { try make(name.map { [$0] } ?? []) }
    }
    return Point(
      experiment: experiment, parameters: parameters, unit: unit, sides: sides,
      title: "\(device.rawValue), \(title), each acceleration off alone")
  }
}
