import Foundation
import Sandbox
import TestSupport
import Testing

/// One attempt of Tests/EscapeDrill, and how each part of the sandbox alone answers it.
struct Escape: Sendable, CustomTestStringConvertible {
  let name: String
  /// The number of the call that the sandbox names.
  let call: Int
  /// The errno values without seccomp: with Landlock alone, and with the loss of privileges alone; nil if it succeeds.
  let landlock: Int32?
  let privileges: Int32?

  init(_ name: String, _ call: Int, landlock: Int32? = nil, privileges: Int32? = nil) {
    self.name = name
    self.call = call
    self.landlock = landlock
    self.privileges = privileges
  }

  var testDescription: String { name }

  static let all =
    files + processes + [
      Escape("bpf", 321, privileges: EPERM), Escape("io_uring", 425), Escape("userfaultfd", 323, privileges: EPERM),
      Escape("perf", 298, privileges: EACCES), Escape("keys", 248), Escape("memfd", 319),
      Escape("executable mapping", 9), Escape("executable memory", 10), Escape("socket", 41),
      Escape("connect TCP", 42, landlock: EACCES), Escape("connect abstract", 42, landlock: EPERM),
      Escape("connect path", 42), Escape("bind TCP", 49, landlock: EACCES), Escape("another VM", 16),
      Escape("another tap", 16, privileges: EPERM),
    ]

  private static let files = [
    Escape("open", 257, landlock: EACCES), Escape("create", 257, landlock: EACCES),
    Escape("own memory", 257, landlock: EACCES), Escape("openat2", 437, landlock: EACCES),
    Escape("unlink", 87, landlock: EACCES), Escape("rename", 82, landlock: EACCES),
    Escape("link", 86, landlock: EACCES), Escape("truncate", 76, landlock: EACCES), Escape("chmod", 90),
    Escape("mkdir", 83, landlock: EACCES), Escape("symlink", 88, landlock: EACCES),
    Escape("mknod", 133, landlock: EACCES, privileges: EPERM), Escape("stat", 262),
    Escape("chroot", 161, privileges: EPERM), Escape("mount", 165, landlock: EPERM, privileges: EPERM),
  ]

  private static let processes = [
    Escape("exec", 59, landlock: EACCES), Escape("fork", 56), Escape("kill", 62, landlock: EPERM),
    Escape("tgkill", 234, landlock: EPERM), Escape("pidfd signal", 424, landlock: EPERM),
    Escape("pidfd descriptor", 438, landlock: EPERM, privileges: EPERM),
    Escape("ptrace", 101, landlock: EPERM, privileges: EPERM),
    Escape("foreign memory", 310, landlock: EPERM, privileges: EPERM),
    Escape("setuid", 117, privileges: EPERM), Escape("unshare", 272, privileges: EPERM),
    Escape("setns", 308, privileges: EPERM), Escape("limits", 302), Escape("prctl", 157), Escape("SIGSYS", 13),
  ]
}

@Suite(
  "The escape drill: a process in the sandbox of a run tries to leave it", .serialized, .timeLimit(.minutes(10)),
  .enabled(if: Sandbox.isPossible, "not with a sanitizer or coverage"),
  .enabled(if: geteuid() == 0 && Landlock.current.abi >= 6, "needs root, and Linux 6.12 with Landlock"))
struct EscapeDrillTests {
  private struct Outcome: Equatable {
    var status: Int32
    var output: String
    var errors: String
  }

  /// Runs one attempt on a thread of `kind`. A signal counts as 128 + its number.
  private static func run(_ attempt: String, _ layers: String, _ kind: ThreadKind) throws -> Outcome {
    let folder = try TemporaryFolder()
    let process = Process()
    let (output, errors) = (Pipe(), Pipe())
    process.executableURL = BuiltProduct.escapeDrill
    process.arguments = [attempt, layers, "\(kind)", folder.path]
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let printed = output.fileHandleForReading.readDataToEndOfFile()
    let complaint = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
      output: String(decoding: printed, as: UTF8.self), errors: String(decoding: complaint, as: UTF8.self))
  }

  @Test(
    "in the whole sandbox, each attempt ends the process, which names the call and the thread", arguments: Escape.all)
  func confined(escape: Escape) throws {
    for (kind, name) in [
      (ThreadKind.main, "the main thread"), (.vCPU, "a vCPU thread"), (.loop, "the I/O thread"),
      (.helper, "a helper thread"),
    ] {
      let outcome = try Self.run(escape.name, "all", kind)
      #expect(outcome.status == 6, "\(kind): \(outcome)")
      #expect(outcome.output == "", "\(kind): \(outcome)")
      #expect(
        outcome.errors.hasPrefix("swiftlet: the sandbox ended this process: \(name) called ")
          && outcome.errors.contains(" (\(escape.call)) with 0x")
          && outcome.errors.hasSuffix("use --sandbox off meanwhile.\n"), "\(kind): \(outcome)")
    }
  }

  /// Hosts may forbid these by their configuration, even to root.
  private static let optional: Set<String> = ["bpf", "io_uring", "userfaultfd", "perf", "keys"]

  @Test("the control: without the sandbox, each attempt succeeds", arguments: Escape.all)
  func control(escape: Escape) throws {
    for kind in [ThreadKind.main, .vCPU] {
      let outcome = try Self.run(escape.name, "none", kind)
      let isForbidden = Self.optional.contains(escape.name) && [1, 13, 38].contains(Int32(outcome.output) ?? 0)
      #expect(outcome.status == 0 || isForbidden, "\(outcome)")
    }
  }

  @Test("Landlock alone stops the attempts that it knows", arguments: Escape.all)
  func landlockAlone(escape: Escape) throws {
    let outcome = try Self.run(escape.name, "landlock", .vCPU)
    if let code = escape.landlock {
      #expect(outcome == Outcome(status: 20, output: "\(code)", errors: ""))
    } else if !Self.optional.contains(escape.name) {
      #expect(outcome.status == 0, "\(outcome)")
    }
  }

  @Test("the loss of privileges alone stops the attempts that need them", arguments: Escape.all)
  func privilegesAlone(escape: Escape) throws {
    let outcome = try Self.run(escape.name, "privileges", .vCPU)
    if let code = escape.privileges {
      let codes = Self.optional.contains(escape.name) ? [EPERM, EACCES, ENOSYS] : [code]
      #expect(outcome.status == 20 && codes.contains(Int32(outcome.output) ?? 0), "\(outcome)")
    } else if !Self.optional.contains(escape.name) {
      #expect(outcome.status == 0, "\(outcome)")
    }
  }

  @Test("seccomp alone stops every attempt", arguments: Escape.all)
  func seccompAlone(escape: Escape) throws {
    #expect(try Self.run(escape.name, "seccomp", .vCPU).status == 6)
  }

  @Test("an allowed call succeeds on every thread, so the drill itself is no violation", arguments: ThreadKind.allCases)
  func allowed(kind: ThreadKind) throws {
    #expect(try Self.run("nothing", "all", kind) == Outcome(status: 0, output: "", errors: ""))
  }

  @Test("a call of the x32 ABI is refused, although x86-64's call of the same number is allowed")
  func x32() throws {
    let outcome = try Self.run("x32", "all", .vCPU)
    #expect(outcome.status == 6 && outcome.errors.contains("called the system call 1073741863 with"), "\(outcome)")
  }

  @Test("a new thread is refused; libc blocks signals meanwhile, so SIGSYS itself ends the process")
  func thread() throws {
    for kind in ThreadKind.allCases { #expect(try Self.run("thread", "all", kind).status == 128 + SIGSYS) }
    #expect(try Self.run("thread", "none", .vCPU).status == 0)
  }
}
