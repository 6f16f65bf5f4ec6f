import Backends
import EventLoop
import Foundation
import KVM
import Machine
import TestSupport
import Testing

extension GuestTests {
  @Suite("How a guest ends", .timeLimit(.minutes(10)))
  struct GuestEndTests {
    @Test("a guest that writes 0 to port 0xf4 has status 0, and its lines arrived through COM1")
    func hello() throws {
      let run = try GuestRun("program=hello name=world")
      #expect(run.lines == [#"{"event":"hello","name":"world","cpus":1}"#])
      #expect(run.exitValue == 0)
      #expect(run.outcome.status == 0)
    }

    @Test("a value v has status 2v + 1, as under QEMU: 2 for a wrong command line is 5, 3 for an exception 7")
    func statuses() throws {
      #expect(try GuestRun("program=nothing").outcome.status == 5)
      let run = try GuestRun("program=crash how=page-fault")
      #expect(run.outcome.status == 7)
      #expect(run.event("exception")?["vector"] == "14")
      #expect(run.event("exception")?["cr2"] == "274877906944")
    }

    @Test("a triple fault is a crash with status 2 that shows registers and the last exits")
    func tripleFault() throws {
      let run = try GuestRun("program=crash how=triple-fault")
      #expect(run.outcome.status == 2)
      guard case .crashed(let report) = run.outcome else {
        Issue.record("ended as \(run.outcome)")
        return
      }
      #expect(report.cause == "triple fault")
      // On SVM, the report has no registers (`CrashReportTests.resetState`).
      #expect(report.registers.isEmpty == (System.kind == .svm))
      if System.kind != .svm { #expect(report.registers.first { $0.name == "cr2" }?.value == 0x40_0000_0000) }
      #expect(report.lastExits.last == "write port 0x3fc = 0xb")
      #expect(report.description.contains("last exits, oldest first:"))
    }

    @Test("a guest that prints nothing until its watchdog expires is a crash, and the report shows where it was")
    func silence() throws {
      let run = try GuestRun("program=crash how=silence") { configuration, _ in
        configuration.watchdog = 300_000_000
      }
      guard case .crashed(let report) = run.outcome else {
        Issue.record("ended as \(run.outcome)")
        return
      }
      #expect(report.cause.contains("printed nothing for 0.3 s"))
      #expect(report.registers.first { $0.name == "rip" }.map { $0.value >= 0x10_0000 } == true)
    }

    @Test("a guest that runs longer than its time-out ends with status 124")
    func timeout() throws {
      let run = try GuestRun("program=crash how=silence") { configuration, _ in
        configuration.timeout = 100_000_000
      }
      #expect(run.outcome.status == 124)
    }

    @Test("a stopped guest ends at once on all its vCPUs")
    func stop() throws {
      let threeCPUs: (inout MachineConfiguration, EventLoop) throws -> Void = { configuration, _ in
        configuration.vCPUs = 3
      }
      let run = try GuestRun("program=crash how=silence", configure: threeCPUs, while: { $0.stop() })
      #expect(run.outcome.status == 0)
    }

    @Test("vCPUs are started by INIT and start-up messages", arguments: [1, 2, 4, 8])
    func processors(count: Int) throws {
      let run = try GuestRun("program=hello cpus=\(count)") { configuration, _ in configuration.vCPUs = count }
      #expect(run.event("hello")?["cpus"] == "\(count)")
      #expect(run.exitValue == 0)
    }

    /// What machines may leave behind in their process. SWIFTLET_MACHINES=1000 runs that many.
    private struct Residue {
      var descriptors: Int
      var threads: Int
      var mappings: Int
      /// Anonymous memory in KiB.
      var memory: Int

      init() throws {
        descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
        mappings = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8).split(separator: "\n").count
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        memory = line.flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int($0) } ?? 0
      }
    }

    @Test("100 machines with all devices leave no descriptor, thread, mapping or memory behind")
    func residue() async {
      // In a process of its own: the other tests open descriptors too.
      await #expect(processExitsWith: .success) {
        func run() throws {
          let run = try GuestRun("program=hello cpus=2") { configuration, loop in
            configuration.vCPUs = 2
            try configuration.addMemoryDisk(.ide)
            try configuration.addMemoryDisk(.virtio)
            let network = NetworkSwitch(loop: loop)
            for (number, model) in [MachineConfiguration.NIC.Model.e1000, .virtio].enumerated() {
              configuration.nics.append(
                .init(
                  backend: network.makePort(name: "port\(number)"), model: model,
                  macAddress: [2, 0, 0, 0, 0, UInt8(number)]))
            }
          }
          #expect(run.exitValue == 0)
        }
        let count = Int(ProcessInfo.processInfo.environment["SWIFTLET_MACHINES"] ?? "") ?? 100
        // The allocator and the runtime keep some memory for the next time.
        for _ in 0..<10 { try run() }
        let before = try Residue()
        for _ in 0..<count { try run() }
        let after = try Residue()
        #expect(after.descriptors <= before.descriptors && after.threads <= before.threads, "\(before) \(after)")
        // Allocator arenas may still grow by one; a leak would be one mapping or page for each machine.
        #expect(after.mappings < before.mappings + count / 2, "\(before) \(after)")
        #expect(after.memory < before.memory + 4 * count, "\(before) \(after)")
      }
    }
  }
}
