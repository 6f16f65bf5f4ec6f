import ArgumentParser
import Backends
import Counters
import Failures
import Foundation
import GuestImages
import KVM
import Machine

enum SandboxSwitch: String, CaseIterable, ExpressibleByArgument { case on, off }

/// `swiftlet run`: boots a guest with the given disks and NICs, and ends when the guest does.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Boot a guest.",
    discussion: """
      The guest is Linux (vmlinuz with --initrd, or vmlinux) or another PVH ELF. `--kernel test-guest` is the one \
      inside this program. Its command line selects the program that it runs:

        swiftlet run --kernel test-guest --append 'program=hello name=you'
        truncate -s 64M disk.img
        swiftlet run --kernel test-guest --disk file=disk.img,model=virtio \\
          --append 'program=disk device=virtio-blk operation=write block=65536' --stats text

      The exit status is 0 if the guest ends with success or powers off, 1 for an error of the command line or the \
      host, 2 if the guest crashed or panicked, 4 if it reset the machine, 6 if the sandbox ended the process (see \
      --sandbox), and 124 if --timeout expired. If the guest wrote v > 0 to the debug-exit port 0xf4, it is 2v + 1, as \
      in QEMU. SIGUSR1 presses the guest's power button.
      """)

  @Option(help: ArgumentHelp("Linux (vmlinuz or vmlinux), any PVH ELF, or test-guest.", valueName: "file"))
  var kernel: String

  @Option(help: ArgumentHelp("The initial RAM disk that the kernel unpacks.", valueName: "file"))
  var initrd: String?

  @Option(help: ArgumentHelp("The kernel's command line.", valueName: "text"))
  var append = ""

  @Option(help: ArgumentHelp("vCPUs.", valueName: "n"))
  var cpus = 1

  @Option(help: ArgumentHelp("RAM, for example 256M, 1G or 3.5G.", valueName: "size"))
  var memory = ByteCount(128 << 20)

  @Option(
    help: ArgumentHelp(
      """
      A disk: \
      file=F,format=raw,model=ide|virtio,cache=none|writeback|writethrough|unsafe,readonly=on|off,log=F,iops=N,bandwidth=B. \
      May repeat. iops= and bandwidth= limit requests and bytes a second. For the use of a log, see: swiftlet disk-log \
      --help.
      """,
      valueName: "settings"))
  var disk: [String] = []

  @Option(
    help: ArgumentHelp(
      """
      A NIC: \
      backend=switch|tap,interface=I,create=on|off,fd=N,model=e1000|virtio,mac=M,pcap=F,bandwidth=B, and for virtio \
      mtu=N,queues=N. May repeat. NICs on the switch see each other. create=on creates a missing tap. fd=N is a tap that \
      the calling program has opened. bandwidth= limits the bytes a second in each direction.
      """,
      valueName: "settings"))
  var net: [String] = []

  @Option(
    help: ArgumentHelp("COM1: stdio (at a terminal, Ctrl-A h lists the keys), none or file=F.", valueName: "where"))
  var serial = "stdio"

  @Option(help: ArgumentHelp("End the guest after this many seconds.", valueName: "s"))
  var timeout: Double?

  @Option(help: ArgumentHelp("Host processors for vCPU 0, 1, …, for example 0,1.", valueName: "cpus"))
  var pin: String?

  @Option(
    help: ArgumentHelp(
      "The most microseconds that the I/O thread polls virtqueues and disk completions before it sleeps; 0 for never. "
        + "Saves latency where it has a processor to itself; 100 is a good value.",
      valueName: "us"))
  var poll = 0

  @Option(help: ArgumentHelp("Counts at the end: text, json, text=FILE or json=FILE.", valueName: "format"))
  var stats: String?

  @Option(
    help: ArgumentHelp(
      "Accelerations to turn off: \(AccelerationSwitch.allCases.map(\.rawValue).joined(separator: ", ")).",
      valueName: "names"))
  var disable: String?

  @Option(
    help: ArgumentHelp(
      "Confine the process before the guest runs: it keeps its open files, and can open nothing else.",
      valueName: "on|off"))
  var sandbox = SandboxSwitch.on

  @Option(
    help: ArgumentHelp(
      "The user that the process becomes, if root starts it: NAME, UID or UID:GID. It opens all files before.",
      valueName: "user"))
  var user: String?

  @Option(
    name: [.customLong("trace-io")],
    defaultAsFlag: "", parsing: .next,
    help: ArgumentHelp(
      "Print to standard error each access that exits, for all or some devices: --trace-io=e1000-0,ide.",
      valueName: "devices"))
  var trace: String?

  func run() throws {
    let status = try MachineRun(self).run()
    throw ExitCode(status)
  }
}
