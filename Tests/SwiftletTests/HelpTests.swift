import TestSupport
import Testing

@Suite("Help texts", .timeLimit(.minutes(10)))
struct HelpTests {
  @Test("--version is one line")
  func version() throws {
    let result = try swiftlet(["--version"])
    #expect(result.status == 0 && result.errors == "")
    #expect(result.output.wholeMatch(of: /swiftlet \d+\.\d+\.\d+\n/) != nil)
  }

  @Test(
    "each command's help has an example to copy",
    arguments: [
      ([], "swiftlet compare --quick"), (["run"], "swiftlet run --kernel test-guest --append"),
      (["guest"], "qemu-system-x86_64 -accel kvm"), (["compare"], "swiftlet compare --only disk"),
      (["report"], "swiftlet report before.json after.json"),
      (["doctor"], "swiftlet doctor"), (["disk-log"], "swiftlet disk-log disk.log --base before.img"),
      (["network"], "sudo swiftlet network up --taps 2"), (["network", "up"], "--address 10.73.0.1/24 --mtu 9000"),
      (["network", "down"], "sudo swiftlet network down"), (["network", "status"], "swiftlet network status"),
    ] as [([String], String)])
  func examples(command: [String], example: String) throws {
    let result = try swiftlet(command + ["--help"])
    #expect(result.status == 0 && result.errors == "")
    #expect(result.output.contains(example), "\(result.output)")
    #expect(result.output.contains("USAGE: swiftlet"))
  }

  @Test("without arguments, swiftlet prints the help")
  func bare() throws {
    let result = try swiftlet([])
    #expect(result.status == 0)
    #expect(result.output.contains("SUBCOMMANDS:"))
  }

  @Test("the help of run explains each status")
  func statuses() throws {
    let text = try swiftlet(["run", "--help"]).output
    for word in ["124", "2v + 1", "0xf4", "file=F", "interface=I", "create=on", "msi-x"] {
      #expect(text.contains(word), "\(word)")
    }
  }

  @Test("doctor reports the abilities of this host", .needsKVM)
  func doctor() throws {
    let result = try swiftlet(["doctor"])
    #expect(result.status == 0, "\(result.output)")
    #expect(result.output.contains("ok   /dev/kvm opens; kind "))
    let limit = try #require(result.output.firstMatch(of: /up to ([0-9]+) vCPUs/))
    #expect(try #require(Int(limit.1)) <= 255, "as many as run --cpus accepts: \(result.output)")
    for part in ["Landlock", "seccomp filters", "no_new_privs"] {
      #expect(result.output.contains(try Regex("(ok  |miss) \(part).* for the sandbox")))
    }
    for line in result.output.split(separator: "\n") where line.hasPrefix("miss") {
      #expect(line.contains(". "), "no fix: \(line)")
    }
  }
}
