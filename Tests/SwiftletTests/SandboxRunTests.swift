import Foundation
import Sandbox
import TestSupport
import Testing

@Suite(
  "The sandbox of swiftlet run", .serialized, .needsKVM, .timeLimit(.minutes(10)),
  .enabled(if: Sandbox.isPossible, "not with a sanitizer or coverage"))
struct SandboxRunTests {
  /// The fields of /proc/PID/status, by name.
  private static func status(_ path: String) -> [String: String] {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return Dictionary(
      text.split(separator: "\n").compactMap { line in
        line.firstIndex(of: ":").map {
          (String(line[..<$0]), line[line.index(after: $0)...].trimmingCharacters(in: .whitespaces))
        }
      }, uniquingKeysWith: { $1 })
  }

  /// The status of each thread, once all vCPUs of a run have entered the guest.
  private static func threads(of process: Int32) -> [[String: String]] {
    let folder = "/proc/\(process)/task"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.map { status("\(folder)/\($0)/status") }.filter { !$0.isEmpty }
  }

  /// Starts a run of a guest that does not end by itself, with disks and NICs, waits until its guest runs, and returns the run with the status of its threads.
  private static func start(_ more: [String], in folder: TestFolder, under wrapper: [String] = []) throws -> (
    CommandRun, [[String: String]]
  ) {
    try folder.makeDisk("disk.img")
    let run = try CommandRun(
      [
        "run", "--kernel", "test-guest", "--append", "program=crash how=silence", "--cpus", "2", "--serial",
        "file=serial", "--disk", "file=disk.img,model=ide,log=log", "--net", "model=e1000,pcap=capture", "--net",
        "model=virtio", "--stats", "text", "--timeout", "30",
      ] + more, in: folder, under: wrapper)
    // KVM starts a thread of its own at the first KVM_RUN on some kernels, so the number of threads is a lower bound.
    for _ in 0..<2000 {
      let threads = threads(of: run.identifier)
      if threads.count >= 6, threads.filter({ ($0["Seccomp"] ?? "0") != "0" }).count >= 6 || more.contains("off") {
        return (run, threads)
      }
      usleep(5000)
    }
    Issue.record("the run did not start its threads")
    return (run, [])
  }

  @Test("every thread of a run is without capabilities, with no_new_privs and a filter")
  func threads() throws {
    let folder = try TestFolder()
    let (run, threads) = try Self.start([], in: folder)
    for thread in threads {
      let name = thread["Name"] ?? "?"
      for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        #expect(thread[set] == "0000000000000000", "\(name) \(set)")
      }
      if geteuid() == 0 { #expect(thread["CapBnd"] == "0000000000000000") }
      #expect(thread["NoNewPrivs"] == "1")
      #expect(thread["Seccomp"] == "2" && thread["Seccomp_filters"] ?? "1" == "1", "\(name): \(thread)")
    }
    let limits = try String(contentsOfFile: "/proc/\(run.identifier)/limits", encoding: .utf8).split(separator: "\n")
    let core = limits.first { $0.hasPrefix("Max core file size") }?.split(separator: " ")
    #expect(core?[4] == "0" && core?[5] == "0")
    run.interrupt()
    let result = run.wait()
    #expect(result.status == 0)
    #expect(result.errors.contains(/sandbox: at most [0-9]+ descriptors, no capabilities, no_new_privs, .*seccomp\n/))
  }

  @Test(
    "--user changes the identity of every thread, and files are opened before",
    .enabled(if: geteuid() == 0, "needs root")
  )
  func identity() throws {
    let folder = try TestFolder()
    let (run, threads) = try Self.start(["--user", "65534:65533"], in: folder)
    for thread in threads {
      #expect(thread["Uid"] == "65534\t65534\t65534\t65534" && thread["Gid"] == "65533\t65533\t65533\t65533")
      #expect(thread["Groups"] == "")
    }
    run.interrupt()
    let result = run.wait()
    #expect(result.status == 0)
    #expect(result.errors.contains("user 65534, group 65533, no capabilities, "))
    let owner = try FileManager.default.attributesOfItem(atPath: folder["capture"])[.ownerAccountID] as? Int
    #expect(owner == 0)
  }

  @Test(
    "a limit of processes that is too low ends the run with the reason, instead of a wait forever",
    .enabled(if: geteuid() == 0, "needs root"), arguments: 1...4)
  func fewProcesses(limit: Int) throws {
    let folder = try TestFolder()
    // A user that has no other process. The limit counts threads too.
    let run = try CommandRun(
      ["run", "--user", "61234:61234", "--kernel", "test-guest", "--append", "program=hello"], in: folder,
      under: ["prlimit", "--nproc=\(limit)"])
    let result = run.wait()
    #expect(result.status == 1 && result.output == "")
    #expect(
      result.errors.contains("start a thread: Resource temporarily unavailable. Raise the limit"), "\(result.errors)")
  }

  @Test("--sandbox off confines nothing, and standard error says so")
  func off() throws {
    let folder = try TestFolder()
    let (run, threads) = try Self.start(["--sandbox", "off"], in: folder)
    #expect(threads.allSatisfy { $0["Seccomp"] == "0" && $0["NoNewPrivs"] == "0" })
    run.interrupt()
    let result = run.wait()
    #expect(result.status == 0)
    #expect(
      result.errors.hasPrefix(
        "swiftlet: --sandbox off: a guest that takes this process over has all of its rights\n"))
    #expect(result.errors.contains("\nsandbox: off\n"))
  }

  @Test("files, directories and devices that the caller left open are closed")
  func descriptors() throws {
    let folder = try TestFolder()
    let (run, _) = try Self.start(
      [], in: folder, under: ["bash", "-c", #"exec 9</etc/passwd 77</; exec 55</dev/zero; exec "$0" "$@""#])
    let path = "/proc/\(run.identifier)/fd"
    let targets = try FileManager.default.contentsOfDirectory(atPath: path).compactMap {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "\(path)/\($0)")
    }
    #expect(targets.contains(folder["log"]), "\(targets)")
    for target in ["/etc/passwd", "/", "/dev/zero"] { #expect(!targets.contains(target), "\(targets)") }
    run.interrupt()
    #expect(run.wait().status == 0)
  }

  @Test("a crash of swiftlet itself ends with the crash's own signal", arguments: ["SEGV", "ILL"])
  func crash(signal: String) throws {
    let script = #"""
      "$0" "$@" & for _ in $(seq 500); do grep -qs 'Seccomp:.*2' /proc/$!/status && break; sleep 0.02; done
      kill -\#(signal) $!; wait $!; kill -l $?
      """#
    let run = try CommandRun(
      ["run", "--kernel", "test-guest", "--append", "program=crash how=silence", "--timeout", "30"], in: TestFolder(),
      under: ["bash", "-c", script])
    #expect(run.wait().output == "\(signal)\n")
  }

  @Test(
    "--user with a wrong value",
    arguments: [
      Refusal("run --kernel test-guest --user no-such-user", "there is no user 'no-such-user'", "getent passwd"),
      Refusal("run --kernel test-guest --user 4000000", "its group is unknown", "--user 4000000:4000000"),
      Refusal("run --kernel test-guest --user root --sandbox off", "does not change the identity", "Leave one"),
      Refusal("run --kernel test-guest --sandbox maybe", "'maybe'", "See: swiftlet run --help"),
    ])
  func refused(refusal: Refusal) throws { try refusal.check(in: TestFolder()) }

  @Test("without root, --user is refused", .enabled(if: geteuid() == 0, "needs root, to become another user"))
  func unprivileged() throws {
    let folder = try TestFolder()
    let run = try CommandRun(
      ["run", "--kernel", "test-guest", "--user", "daemon"], in: folder,
      under: [
        "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all,+dac_override",
        "--ambient-caps=-all,+dac_override",
      ])
    let result = run.wait()
    #expect(result.status == 1)
    #expect(
      result.errors
        == "swiftlet: read --user daemon: only root can change the identity of a process. Use sudo, or leave it out.\n")
  }
}
