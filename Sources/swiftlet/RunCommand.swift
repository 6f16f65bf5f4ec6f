import ArgumentParser
import Backends
import Counters
import EventLoop
import Failures
import GuestImages
import KVM
import Machine

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run", abstract: "Boot a guest.")

  @Option(help: "A PVH ELF, or @guest for the test guest inside this program.")
  var kernel: String

  @Option(help: "The kernel's command line.")
  var append = ""

  @Option var disk: [String] = []
  @Option(help: "Number of vCPUs.")
  var cpus = 1

  func run() throws {
    let system = try System()
    let loop = try EventLoop()
    loop.start()
    var configuration = MachineConfiguration(kernel: GuestImage.bytes, kernelName: kernel)
    configuration.commandLine = append
    configuration.vCPUs = cpus
    configuration.serial = DescriptorSerial(descriptor: 1, loop: loop)
    for disk in disk {
      let storage = try MemoryStorage(sectorCount: 131072, counters: loop.counters)
      configuration.disks.append(.init(storage: storage, model: .init(rawValue: disk)!, serial: "a"))
    }
    let machine = try Machine(configuration, system: system, loop: loop)
    machine.start()
    let outcome = machine.wait()
    print(outcome)
    for (o, c) in machine.countersByOwner { print(o, Counter.allCases.filter { c[$0] > 0 }.map { "\($0)=\(c[$0])" }) }
    for r in machine.exitsByRegister.prefix(30) { print(String(r.address, radix: 16), r.isWrite ? "w" : "r", r.count) }
    loop.stop()
    throw ExitCode(outcome.status)
  }
}
