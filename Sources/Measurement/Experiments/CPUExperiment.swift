import Boot
import EventLoop
import Failures
import Foundation
import GuestImages
import KVM
import Machine

/// The CPU experiment (Fig. 3 of the paper): the same object code on the host and in guests.
struct CPUBench {
  private let system: System
  private let loop: EventLoop
  /// Rounds of work that take one sample's length on one of this host's processors.
  private let rounds: UInt64

  init(_ options: ComparisonOptions, system: System, loop: EventLoop) throws {
    self.system = system
    self.loop = loop
    let trial = try HostCPU(threads: 1, rounds: 200).sample()
    rounds = max(1, 200 * options.duration / max(1, trial.nanoseconds))
  }

  /// One VM with 1 and 2 vCPUs, if the host has so many processors.
  var points: [Point] { (ProcessInfo.processInfo.activeProcessorCount > 1 ? [1, 2] : [1]).map(oneVM) }

  /// One VM with `count` vCPUs.
  func oneVM(_ count: Int) -> Point {
    var parameters = Record.Parameters()
    parameters.vCPUs = count
    return point(parameters, threads: count, title: "CPU, \(count) thread\(count > 1 ? "s" : "")") { [self] in
      try guest(threads: count)
    }
  }

  /// `count` VMs with one vCPU each.
  func manyVMs(_ count: Int) -> Point {
    var parameters = Record.Parameters()
    parameters.vCPUs = 1
    parameters.vms = count
    return point(parameters, threads: count, title: "CPU, \(count) VM\(count > 1 ? "s" : "")") { [self] in
      let group = GroupSession()
      do {
        for _ in 0..<count { group.append(try guest(threads: 1)) }
        return group
      } catch {
        group.close()
        throw error
      }
    }
  }

  private func point(
    _ parameters: Record.Parameters, threads: Int, title: String, _ make: @escaping () throws -> any Sampled
  ) -> Point {
    Point(
      experiment: .cpu, parameters: parameters, unit: "operations/s",
      sides: [
        Point.Side(mode: .host, device: .none, vmm: "none") { [rounds] in
          try HostCPU(threads: threads, rounds: rounds)
        },
        Point.Side(mode: .guest, device: .cpu, vmm: "swiftlet", make: make),
      ],
      title: title)
  }

  private func guest(threads: Int) throws -> MachineSession {
    var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
    configuration.vCPUs = threads
    configuration.memorySize = 64 << 20
    configuration.commandLine = "program=cpu wait=1 samples=1000 threads=\(threads) rounds=\(rounds)"
    return try MachineSession(configuration, system: system, loop: loop)
  }
}
