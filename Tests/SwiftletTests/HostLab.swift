import Foundation
import TestSupport
import Testing

/// A shell script in a separate network namespace, which disappears at its end, so the host is unchanged.
///
/// `$S` is swiftlet. `run COMMAND…` prints the command's output and its status. `as_nobody COMMAND…` keeps only root's
/// right to open files, so that the command has no CAP_NET_ADMIN.
enum HostLab {
  static let isAvailable = geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0 && (try? run("true")) == []

  private static let prelude = """
    set -u
    as_nobody() {
      setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,+dac_override \\
        --ambient-caps=-all,+dac_override "$@"
    }
    run() { "$@"; echo "= $?"; }
    # Waits until a command succeeds, for ten seconds at most.
    await() { for _ in $(seq 500); do "$@" >/dev/null 2>&1 && return; sleep 0.02; done; echo "never: $*"; }

    """

  /// Runs `script` and returns its output lines, with "swiftlet" in place of the program's path.
  static func run(_ script: String) throws -> [String] {
    let folder = try TestFolder()
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/timeout")
    process.arguments = ["60", "unshare", "--net", "bash", "-c", prelude + script]
    process.currentDirectoryURL = URL(filePath: folder.path)
    var environment = ProcessInfo.processInfo.environment
    environment["S"] = BuiltProduct.swiftlet.path
    environment["SUDO_USER"] = nil
    process.environment = environment
    let output = try folder.makeCapture("lab")
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
    process.waitUntilExit()
    let program = BuiltProduct.swiftlet.resolvingSymlinksInPath().path
    return folder.captured("lab").replacing(program, with: "swiftlet").split(separator: "\n").map(String.init)
  }
}
