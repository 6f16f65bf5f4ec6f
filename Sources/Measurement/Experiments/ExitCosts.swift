import Backends
import Boot
import EventLoop
import GuestImages
import KVM
import Machine

/// What a guest does again and again, to learn its cost. Each is one access to a NIC, without effect on the device.
enum AccessKind: String, CaseIterable {
  /// Reads a register: an exit to user space.
  case exit
  /// Rings the doorbell of an empty queue: KVM signals an ioeventfd.
  case kick
  /// Writes a register whose writes KVM holds in its ring.
  case coalesced

  fileprivate var device: Record.Device { self == .kick ? .virtioNet : .e1000 }
  fileprivate var operation: String { self == .exit ? "read" : rawValue }
}

/// The cost of one exit to user space, one kick and one coalesced write on this host.
func exitCostPoint(_ options: ComparisonOptions, system: System, loop: EventLoop) -> Point {
  let sides = AccessKind.allCases.map { kind in
    var parameters = Record.Parameters()
    parameters.access = kind.rawValue
    return Point.Side(mode: .guest, device: kind.device, vmm: "swiftlet", parameters: parameters) {
      var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
      configuration.memorySize = 64 << 20
      configuration.commandLine =
        "program=access wait=1 samples=1000 device=\(kind.device.rawValue) operation=\(kind.operation) "
        + "duration-ms=\(options.duration / 1_000_000)"
      let port = NetworkSwitch(loop: loop).makePort(name: "vm")
      configuration.nics = [
        .init(
          backend: port, model: kind.device == .e1000 ? .e1000 : .virtio, macAddress: [0x02, 0, 0, 0, 0, 0x10])
      ]
      return try MachineSession(configuration, system: system, loop: loop)
    }
  }
  return Point(
    experiment: .exitCost, parameters: Record.Parameters(), unit: "operations/s", sides: sides,
    title: "the cost of an exit, a kick and a coalesced write")
}

extension Point {
  /// A device as it is, and the same with `count` exits more for each operation.
  ///
  /// - Parameter make: boots the guest with further words on its command line.
  static func exitModel(
    _ parameters: Record.Parameters, unit: String, mode: Record.Mode, device: Record.Device, adding count: Int,
    title: String, _ make: @escaping (_ words: String) throws -> any Sampled
  ) -> Point {
    let sides = [0, count].map { extra in
      var parameters = parameters
      parameters.extraExits = extra
      return Side(mode: mode, device: device, vmm: "swiftlet", parameters: parameters) {
        try make(" extra-exits=\(extra)")
      }
    }
    return Point(
      experiment: .exitModel, parameters: parameters, unit: unit, sides: sides,
      title: "\(device.rawValue), \(title), \(count) exits added")
  }
}
