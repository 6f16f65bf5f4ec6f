import Backends
import EventLoop
import Failures
import Foundation
import TestSupport
import Testing

@Suite("Disk images that are not raw or in use", .timeLimit(.minutes(10)))
struct DiskImageUseTests {
  private func refusal(_ path: String, isReadOnly: Bool = false, takesAnyFormat: Bool = false) throws -> String {
    let loop = try EventLoop(name: "test")
    do throws(Failure) {
      _ = try FileStorage(
        path: path, isReadOnly: isReadOnly, takesAnyFormat: takesAnyFormat, loop: loop, counters: loop.counters)
      return ""
    } catch {
      return error.description
    }
  }

  @Test(
    "an image of another format is refused unless format=raw is given",
    arguments: [
      ("qcow2", Array("QFI".utf8) + [0xFB], 0), ("qed", Array("QED".utf8) + [0], 0), ("vmdk", Array("KDMV".utf8), 0),
      ("vhdx", Array("vhdxfile".utf8), 0), ("vhd", Array("conectix".utf8), 0), ("vhd", Array("conectix".utf8), 65_024),
      ("vdi", [0x7F, 0x10, 0xDA, 0xBE], 0x40),
    ] as [(String, [UInt8], Int)])
  func formats(format: String, magic: [UInt8], place: Int) throws {
    let file = try TemporaryFile(size: 65_536)
    file.store(magic, at: place)
    for isReadOnly in [true, false] {
      let text = try refusal(file.path, isReadOnly: isReadOnly)
      #expect(text.contains("its format is \(format), and swiftlet takes only raw images. Convert it: qemu-img"))
      #expect(try refusal(file.path, isReadOnly: isReadOnly, takesAnyFormat: true) == "")
    }
  }

  @Test(
    "a block device that another program opened exclusively, as a mount does, is refused for writing",
    .enabled(if: LoopDevice.isAvailable, "needs root and a loop device"))
  func exclusive() throws {
    let device = try LoopDevice(SealedFile(size: 1 << 20))
    #expect(try refusal(device.path) == "")
    let holder = open(device.path, O_RDONLY | O_EXCL | O_CLOEXEC)
    #expect(holder >= 0)
    #expect(
      try refusal(device.path).contains(
        "it is mounted, or another program uses it. Find out with lsblk \(device.path)"))
    #expect(try refusal(device.path, isReadOnly: true) == "")
    close(holder)
    #expect(try refusal(device.path) == "")
  }

  @Test(
    "QEMU and swiftlet exclude each other, unless both only read", .needsQEMU, arguments: [true, false],
    [true, false])
  func qemu(isReadOnly: Bool, isQEMUReadOnly: Bool) throws {
    let file = try TemporaryFile(size: 65_536)
    let drive = "if=none,id=d,format=raw,file=\(file.path),readonly=\(isQEMUReadOnly ? "on" : "off")"
    let arguments =
      ["-S", "-nodefaults", "-display", "none", "-accel", "tcg", "-qmp", "stdio", "-drive", drive, "-device"]
      + ["virtio-blk-pci,drive=d"]
    let isShared = isReadOnly && isQEMUReadOnly
    // QEMU first.
    let first = try QEMUMonitor(arguments)
    #expect(first.isUp())
    #expect(try refusal(file.path, isReadOnly: isReadOnly).contains("another process uses it") == !isShared)
    first.end()
    // The reverse.
    let loop = try EventLoop(name: "test")
    let disk = try FileStorage(path: file.path, isReadOnly: isReadOnly, loop: loop, counters: loop.counters)
    let second = try QEMUMonitor(arguments)
    #expect(second.isUp() == isShared)
    second.end()
    disk.close()
  }
}

/// A QEMU that runs nothing and answers on its monitor.
private final class QEMUMonitor {
  private let process = Process()
  private let (input, output) = (Pipe(), Pipe())

  init(_ arguments: [String]) throws {
    process.executableURL = URL(filePath: "/usr/bin/qemu-system-x86_64")
    process.arguments = arguments
    process.standardInput = input
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
  }

  deinit { end() }

  /// Whether it answers a command; by then its disks are open and locked.
  func isUp() -> Bool {
    signal(SIGPIPE, SIG_IGN)
    try? input.fileHandleForWriting.write(contentsOf: Data("{\"execute\":\"qmp_capabilities\"}\n".utf8))
    var text = ""
    while !text.contains("return") {
      let data = output.fileHandleForReading.availableData
      if data.isEmpty { return false }
      text += String(decoding: data, as: UTF8.self)
    }
    return true
  }

  /// Ends QEMU by SIGKILL, since Foundation's children block SIGTERM.
  func end() {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }
}
