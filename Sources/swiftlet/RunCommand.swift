import ArgumentParser
import Backends
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
    let machine = try Machine(configuration, system: system, loop: loop)
    machine.start()
    let outcome = machine.wait()
    print(outcome)
    loop.stop()
    throw ExitCode(outcome.status)
  }
}
