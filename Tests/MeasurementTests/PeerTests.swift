import Failures
import Foundation
import GuestImages
import TestSupport
import Testing

@testable import Measurement

@Suite("QEMU as a peer", .serialized, .timeLimit(.minutes(10)))
struct PeerTests {
  private static let diskLine =
    "program=disk wait=1 samples=1000 operation=write block=4096 depth=1 interrupts=poll style=lean span=1048576 "
    + "duration-ms=20 device="

  private func failure(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test("a program that is missing or is not QEMU is one line with the command that installs it")
  func missing() {
    for path in ["no-such-qemu", "/bin/true"] {
      let message = failure { _ = try QEMUProgram(path: path) }
      #expect(message.hasPrefix("ask \(path) for its version: "), "\(message)")
      #expect(message.hasSuffix(QEMUProgram.installation), "\(message)")
    }
  }

  @Test(
    "a session samples the same guest, counts its exits and its processor time, and ends QEMU", .needsQEMU,
    arguments: [
      ("virtio-blk", "virtio-blk-pci,drive=d0,disable-legacy=on"), ("ide", "ide-hd,drive=d0,bus=ide.0,unit=0"),
    ])
  func session(device: String, argument: String) throws {
    let program = try QEMUProgram(path: "qemu-system-x86_64")
    #expect(program.version.first?.isNumber == true)
    let folder = NSTemporaryDirectory()
    let (kernel, disk) = (try UnnamedFile(in: folder), try UnnamedFile(in: folder, size: 1 << 20))
    try kernel.write(GuestImage.bytes)
    let session = try ProcessSession(
      program, kernel: kernel.path, commandLine: Self.diskLine + device,
      arguments: [
        "-m", "128", "-drive", "if=none,id=d0,format=raw,file=\(disk.path)", "-device", argument,
      ])
    var identifier: pid_t = 0
    do {
      defer { session.close() }
      identifier = try #require(session.processIdentifiers.first)
      #expect(kill(identifier, 0) == 0)
      for _ in 0..<2 {
        let sample = try session.sample()
        #expect(sample.operations > 0)
        #expect(sample.bytes == sample.operations * 4096)
        #expect(sample.nanoseconds >= 20_000_000)
        #expect(try #require(sample.kernelExits) > 0)
        #expect(sample.vCPUSeconds > 0)
        #expect(sample.counters == nil, "QEMU does not say how often a device was accessed")
      }
      #expect(session.commandLine?.contains("-append '\(Self.diskLine)\(device)'") == true)
    }
    #expect(kill(identifier, 0) != 0 && errno == ESRCH)
  }

  @Test("what QEMU prints as it refuses to start is the error's cause", .needsQEMU)
  func refusal() throws {
    let kernel = try UnnamedFile(in: NSTemporaryDirectory())
    try kernel.write(GuestImage.bytes)
    let message = failure {
      _ = try ProcessSession(
        QEMUProgram(path: "qemu-system-x86_64"), kernel: kernel.path, commandLine: "program=hello",
        arguments: ["-device", "no-such-device"])
    }
    #expect(message.contains("run qemu-system-x86_64: "), "\(message)")
    #expect(message.contains("'no-such-device' is not a valid device model name"), "\(message)")
  }
}
