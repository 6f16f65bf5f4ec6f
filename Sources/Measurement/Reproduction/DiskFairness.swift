import Backends
import EventLoop
import Failures
import KVM
import Machine

/// Several VMs that read from disks of their own, all over one loop: does each get its share?
final class DiskFairness {
  private static let block = 4096

  private let options: ComparisonOptions
  private let system: System
  private let benches: [DiskBench]

  init(_ options: ComparisonOptions, vms: Int, system: System, loop: EventLoop) throws {
    self.options = options
    self.system = system
    benches = try (0..<vms).map { _ in try DiskBench(options, system: system, loop: loop) }
  }

  func close() { for bench in benches { bench.close() } }

  var point: Point {
    let load = DiskBench.Load(.randomRead, block: Self.block)
    var parameters = benches[0].parameters(load)
    parameters.vms = benches.count
    let sides = DiskBench.devices.map { mode, device, model in
      Point.Side(mode: mode, device: device, vmm: "swiftlet") { [self] in
        let group = GroupSession(keeping: [self])
        do {
          for bench in benches { group.append(try bench.guest(load, model)) }
          return group
        } catch {
          group.close()
          throw error
        }
      }
    }
    return Point(
      experiment: .fairness, parameters: parameters, unit: load.unit, sides: sides,
      title: "random reads by \(benches.count) VMs at a time")
  }
}
