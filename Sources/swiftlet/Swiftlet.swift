import ArgumentParser

/// The command line: parses, calls, prints.
@main
struct Swiftlet: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "swiftlet",
    abstract: "A mini hypervisor on KVM that compares emulated hardware with virtio.",
    discussion: """
      swiftlet boots test guests on /dev/kvm and gives them an emulated e1000 and IDE disk (full virtualization, FV) \
      or virtio-net and virtio-blk (paravirtualization, PV), over the same backends and under one meter.

      Start with:
        swiftlet doctor
        swiftlet compare --quick
        swiftlet run --kernel test-guest --append 'program=hello'
      """,
    version: "swiftlet 0.1.0",
    subcommands: [CompareCommand.self, RunCommand.self, DoctorCommand.self, GuestCommand.self])
}
