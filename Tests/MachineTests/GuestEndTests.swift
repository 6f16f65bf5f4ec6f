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

    @Test("20 machines leave no descriptor open")
    func descriptors() async {
      // In a process of its own: the other tests open descriptors too.
      await #expect(processExitsWith: .success) {
        func openDescriptors() throws -> Int {
          try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
        }
        _ = try GuestRun("program=hello")
        let before = try openDescriptors()
        for _ in 0..<20 {
          _ = try GuestRun("program=hello") { configuration, _ in
            try configuration.addMemoryDisk(.ide)
            try configuration.addMemoryDisk(.virtio)
          }
        }
        #expect(try openDescriptors() <= before)
      }
    }
  }
}
