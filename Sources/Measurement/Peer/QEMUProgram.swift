import Failures
import Foundation

/// QEMU as it is installed here: the peer that swiftlet is measured beside.
package struct QEMUProgram: Sendable {
  /// The command that installs it on Debian.
  package static let installation = "sudo apt-get install -y --no-install-recommends qemu-system-x86 seabios"

  package let path: String
  /// As the program prints it: `7.2.22 (Debian 1:7.2+dfsg-7)`.
  package let version: String

  /// - Parameter path: a name to look for in PATH, or a path.
  /// - Throws: `Failure` with the command that installs it.
  package init(path: String) throws(Failure) {
    let action = "ask \(path) for its version"
    let output = Pipe()
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["timeout", "10", path, "--version"]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    let text: String
    do {
      try process.run()
      text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    } catch {
      throw Failure(action, cause: error.localizedDescription, fix: Self.installation)
    }
    process.waitUntilExit()
    let line = text.prefix { $0 != "\n" }
    guard process.terminationStatus == 0, let found = line.range(of: "version ") else {
      throw Failure(action, cause: "it is not installed, or not QEMU", fix: Self.installation)
    }
    self.path = path
    version = String(line[found.upperBound...])
  }

  /// The machine of every peer row: qboot instead of SeaBIOS, which takes seconds where CPL 0 is interpreted, and a CPU
  /// without the MSR that this software KVM lacks.
  static let bare = [
    "-name", "peer,debug-threads=on", "-accel", "kvm", "-cpu", "host,-arch-capabilities", "-M", "pc", "-bios",
    "qboot.rom", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-device",
    "isa-debug-exit,iobase=0xf4,iosize=0x04",
  ]

  /// The same with COM1 at descriptor 3 and the monitor at descriptor 4.
  static let machine =
    bare + [
      "-chardev", "socket,id=com1,fd=3", "-serial", "chardev:com1", "-chardev", "socket,id=qmp,fd=4", "-mon",
      "chardev=qmp,mode=control",
    ]
}
