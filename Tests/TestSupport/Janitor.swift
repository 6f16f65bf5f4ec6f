import Foundation

/// Removes folders after this process has ended, in whatever way.
///
/// Folders that a suite's tests share live until then, and the end of a process runs no deinitializers.
final class Janitor: Sendable {
  static let shared = Janitor()
  private let paths = Pipe()

  /// Starts a shell that reads paths until its input ends, together with this process.
  private init() {
    let shell = Process()
    shell.executableURL = URL(filePath: "/bin/sh")
    // A terminal's signal ends the test process, not the janitor. QEMU ends by itself when its pipe closes.
    let script = "trap '' INT TERM HUP; while read -r path; do set -- \"$@\" \"$path\"; done; sleep 2; rm -rf \"$@\""
    shell.arguments = ["-c", script]
    shell.standardInput = paths
    // A reader of this process's output need not wait for the shell.
    shell.standardOutput = FileHandle.nullDevice
    shell.standardError = FileHandle.nullDevice
    try? shell.run()
  }

  func removeAtEnd(_ path: String) throws { try paths.fileHandleForWriting.write(contentsOf: Data("\(path)\n".utf8)) }
}
