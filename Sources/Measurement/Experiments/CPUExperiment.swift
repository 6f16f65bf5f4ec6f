import Boot
import EventLoop
import Failures
import Foundation
import GuestImages
import KVM
import Machine

/// The CPU experiment (Fig. 3 of the paper): the same object code on the host and in a guest, with 1 and 2 threads.
func cpuPoints(_ options: ComparisonOptions, system: System, loop: EventLoop) throws -> [Point] {
  // Choose the number of rounds so that a sample has the wanted length on this host.
  let trial = try HostCPU(threads: 1, rounds: 200).sample()
  let rounds = max(1, 200 * options.duration / max(1, trial.nanoseconds))
  let counts = ProcessInfo.processInfo.activeProcessorCount > 1 ? [1, 2] : [1]
  return counts.map { threads in
    var parameters = Record.Parameters()
    parameters.vCPUs = threads
    return Point(
      experiment: .cpu, parameters: parameters, unit: "operations/s",
      sides: [
        Point.Side(mode: .host, device: .none, vmm: "none") { try HostCPU(threads: threads, rounds: rounds) },
        Point.Side(mode: .guest, device: .cpu, vmm: "swiftlet") {
          var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
          configuration.vCPUs = threads
          configuration.memorySize = 64 << 20
          configuration.commandLine = "program=cpu wait=1 samples=1000 threads=\(threads) rounds=\(rounds)"
          return try MachineSession(configuration, system: system, loop: loop)
        },
      ],
      title: "CPU, \(threads) thread\(threads > 1 ? "s" : "")")
  }
}
