import CLinux
import Failures
import Foundation
import Glibc

/// A VMM in a process of its own, whose guest prints to its standard output.
final class VMMProcess {
  private let process = Process()
  private let output = Pipe()
  /// When the process was started, by the monotonic clock.
  private let begin: UInt64
  private let name: String

  /// - Parameter command: the program, found in PATH, and its arguments. It dies with this process.
  init(_ command: [String]) throws(Failure) {
    name = command[0]
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["setpriv", "--pdeathsig", "KILL"] + command
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    begin = clinux_monotonic_ns()
    do {
      try process.run()
    } catch {
      throw Failure("start \(name)", cause: error.localizedDescription, fix: "Check that it can be executed.")
    }
  }

  /// Waits for the next byte of the guest.
  func waitForByte() throws(Failure) -> UInt8 {
    var byte: UInt8 = 0
    let descriptor = output.fileHandleForReading.fileDescriptor
    while true {
      var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&wait, 1, 60_000) != 0 else {
        throw Failure("wait for a guest of \(name)", cause: "it printed nothing for 60 s")
      }
      let count = read(descriptor, &byte, 1)
      if count < 0, errno == EINTR { continue }
      guard count == 1 else {
        throw Failure(
          "wait for a guest of \(name)", cause: "the program ended before its guest printed a byte",
          fix: "Run it by hand: \((process.arguments ?? []).dropFirst(3).joined(separator: " "))")
      }
      return byte
    }
  }

  /// Nanoseconds since the start of the process.
  var age: UInt64 { clinux_monotonic_ns() - begin }

  /// Anonymous memory of the process in bytes, without mappings of `ram` bytes or more, which are the guest's RAM.
  func anonymousMemory(without ram: UInt64) throws(Failure) -> UInt64 {
    let path = "/proc/\(process.processIdentifier)/smaps"
    guard let text = try? String(contentsOfFile: path, encoding: .utf8), !text.isEmpty else {
      throw Failure("read \(path)", cause: "the process has ended")
    }
    return Self.anonymousMemory(smaps: text, without: ram)
  }

  /// The sum of the fields `Anonymous`, of mappings whose `Size` is less than `ram` bytes.
  static func anonymousMemory(smaps text: String, without ram: UInt64) -> UInt64 {
    var sum: UInt64 = 0
    var isRAM = false
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 1, let kibibytes = UInt64(words[1]) else { continue }
      if words[0] == "Size:" { isRAM = kibibytes << 10 >= ram }
      if words[0] == "Anonymous:", !isRAM { sum += kibibytes << 10 }
    }
    return sum
  }

  /// Ends the process and waits for it.
  func end() {
    process.terminate()
    // The guest may print more; a full pipe would keep the program from its end.
    try? output.fileHandleForReading.close()
    process.waitUntilExit()
  }
}

/// The time from the start of a VMM's process to its guest's first byte.
final class StartSession: Sampled {
  private let command: [String]
  let commandLine: String?

  /// - Parameter isShown: whether the report has the command.
  init(_ command: [String], isShown: Bool) {
    self.command = command
    commandLine = isShown ? command.map { $0.contains(" ") ? "'\($0)'" : $0 }.joined(separator: " ") : nil
  }

  func sample() throws -> MeasuredSample {
    var sample = MeasuredSample()
    sample.load = HostActivity.load
    let process = try VMMProcess(command)
    defer { process.end() }
    _ = try process.waitForByte()
    let age = process.age
    sample.operations = 1
    sample.nanoseconds = age
    sample.values["p50"] = age
    return sample
  }

  func close() {}
}

/// The memory of a VMM's process beyond its guest's RAM, while the guest works.
final class MemorySession: Sampled {
  private let process: VMMProcess
  private let ram: UInt64

  /// - Parameters:
  ///   - command: a VMM whose guest prints a line for each of its samples.
  ///   - ram: bytes of guest RAM.
  init(_ command: [String], ram: UInt64) throws(Failure) {
    process = try VMMProcess(command)
    self.ram = ram
  }

  func sample() throws -> MeasuredSample {
    var sample = MeasuredSample()
    sample.load = HostActivity.load
    // A line of a guest: its devices have just moved data.
    while try process.waitForByte() != 0x0A {}
    sample.operations = 1
    sample.size = try process.anonymousMemory(without: ram)
    return sample
  }

  func close() { process.end() }
}
