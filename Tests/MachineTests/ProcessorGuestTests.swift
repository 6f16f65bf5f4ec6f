import Foundation
import Machine
import TestSupport
import Testing

extension GuestTests {
  @Suite("Several vCPUs", .timeLimit(.minutes(10)))
  struct ProcessorGuestTests {
    @Test("two vCPUs drive one device each, then share one under a lock, while a third is kicked: 1000 rounds, no loss")
    func rounds() throws {
      let run = try GuestRun("program=smp rounds=1000") { configuration, _ in
        configuration.vCPUs = 3
        try configuration.addMemoryDisk(.ide)
        try configuration.addMemoryDisk(.virtio)
      } while: { machine in
        for _ in 0..<1000 {
          machine.kick(vCPU: 2)
          usleep(200)
        }
      }
      #expect(run.exitValue == 0, "\(run.lines)")
      #expect(run.event("smp")?["turns"] == "2000")
      #expect(run.event("smp")?["counted"] == "1")
      #expect(run.countersByOwner["vcpu2"]?[.exitsInterrupted] ?? 0 > 0)
    }
  }
}
