import ArgumentParser
import Failures
import Foundation

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
    subcommands: [
      CompareCommand.self, ReproduceCommand.self, ReportCommand.self, RunCommand.self, DoctorCommand.self,
      GuestCommand.self, DiskLogCommand.self, NetworkCommand.self,
    ])

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      end(with: error)
    }
  }

  /// Prints an error as one line with cause and fix, and exits with status 1. Help and version are not errors.
  private static func end(with error: any Error) -> Never {
    if let status = error as? ExitCode { Foundation.exit(status.rawValue) }
    if !(error is Failure), exitCode(for: error).isSuccess { exit(withError: error) }
    // The parser's text may have several lines. A failure has one line, except for the report of a crashed guest.
    let parsed = message(for: error).trimmingSuffix(".").map { $0.isNewline ? " " : $0 }
    let text = (error as? Failure)?.description ?? String(parsed) + helpHint
    StandardError.print("swiftlet: \(text)")
    Foundation.exit(1)
  }

  /// Points to the help of the subcommand in use.
  private static var helpHint: String {
    let known = ["run", "compare", "reproduce", "report", "doctor", "guest", "disk-log", "network"]
    let name = CommandLine.arguments.dropFirst().first { known.contains($0) }
    return ". See: swiftlet \(name.map { "\($0) " } ?? "")--help"
  }
}

extension String {
  fileprivate func trimmingSuffix(_ suffix: String) -> String {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
  }
}
