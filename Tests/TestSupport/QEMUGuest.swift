import Failures
import Foundation
import GuestImages

/// A completed run of the test guest under QEMU: its output and status.
///
/// It uses the image and command line of `GuestRun`, to check drivers and models against an independent implementation.
package struct QEMUGuest: GuestReport, Sendable {
  package var lines: [String]
  /// QEMU's status: 2v + 1 if the guest wrote v to port 0xf4; nil if the time limit ended it.
  package var status: Int32?
  /// QEMU's own error messages.
  package var messages: String

  /// - Parameters:
  ///   - arguments: further arguments of QEMU: disks, NICs, `-smp`.
  ///   - seconds: the time limit. `timeout` ends QEMU even if the test process dies first.
  package init(_ commandLine: String, arguments: [String] = [], seconds: Int = 40) throws {
    let folder = try TemporaryFolder()
    let image = folder.file("guest.elf")
    try Data(GuestImage.bytes).write(to: URL(fileURLWithPath: image))
    // Files, not pipes, because a pipe could fill up while this waits.
    let (console, errors) = (folder.file("console"), folder.file("errors"))
    try Data().write(to: URL(fileURLWithPath: errors))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments =
      ["--signal=KILL", "\(seconds)", "qemu-system-x86_64"] + Self.machine + [
        "-kernel", image, "-append", commandLine, "-chardev", "file,id=console,path=\(console)",
        "-serial", "chardev:console",
      ] + arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    let errorFile = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
    defer { try? errorFile.close() }
    process.standardError = errorFile
    try process.run()
    process.waitUntilExit()
    status = process.terminationReason == .exit ? process.terminationStatus : nil
    messages = (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
    let text = (try? String(contentsOfFile: console, encoding: .utf8)) ?? ""
    lines = text.split(whereSeparator: \.isNewline).map(String.init)
  }

  /// The machine of all guests. It has qboot, since SeaBIOS takes seconds if CPL 0 is interpreted, and a CPU
  /// without an MSR that some KVMs lack.
  private static let machine = [
    "-accel", "kvm", "-cpu", "host,-arch-capabilities", "-M", "pc", "-bios", "qboot.rom", "-m", "64", "-nodefaults",
    "-no-user-config", "-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
  ]

  /// A disk at position `index` of the PIIX3's four.
  package static func ideDisk(_ path: String, index: Int) -> [String] {
    [
      "-drive", "if=none,id=ide\(index),format=raw,file=\(path)",
      "-device", "ide-hd,drive=ide\(index),bus=ide.\(index / 2),unit=\(index % 2)",
    ]
  }

  package static func virtioDisk(_ path: String) -> [String] {
    ["-drive", "if=none,id=vd,format=raw,file=\(path)", "-device", "virtio-blk-pci,drive=vd,disable-legacy=on"]
  }

  /// A NIC (`e1000` or `virtio-net`) whose frames go to the datagram socket `remote`, from the socket `local`.
  ///
  /// It has no option ROM: qboot would not run it, and the ROM is in another package.
  package static func nic(_ device: String, local: String, remote: String) -> [String] {
    let model = device == "e1000" ? "e1000" : "virtio-net-pci,disable-legacy=on,rx_queue_size=1024"
    return [
      "-netdev",
      "dgram,id=n0,local.type=unix,local.path=\(local),remote.type=unix,remote.path=\(remote)",
      "-device", "\(model),netdev=n0,mac=02:00:00:00:00:10,romfile=",
    ]
  }
}
