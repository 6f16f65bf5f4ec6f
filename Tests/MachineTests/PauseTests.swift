import Backends
import Boot
import EventLoop
import Foundation
import GuestImages
import KVM
import Machine
import Measurement
import TestSupport
import Testing
import Threads

extension GuestTests {
  @Suite("a machine that is paused", .timeLimit(.minutes(10)))
  struct PauseTests {
    private static let programs = [
      "program=disk device=ide operation=write block=65536 interrupts=irq span=4194304",
      "program=disk device=virtio-blk operation=write block=65536 depth=8 interrupts=irq span=4194304",
      "program=net device=e1000 operation=receive frame=1514 peer=\(StreamEndpoint.address)",
      "program=net device=virtio-net operation=receive frame=1514 peer=\(StreamEndpoint.address)",
      "program=net device=e1000 operation=send frame=1514 peer=\(StreamEndpoint.address)",
      "program=net device=virtio-net operation=send frame=1514 peer=\(StreamEndpoint.address)",
    ]

    /// A sum of all of the guest's memory.
    private func sum(_ machine: Machine) -> UInt64 {
      var sum: UInt64 = 0
      for region in machine.memory.regions {
        let words = UnsafeRawBufferPointer(start: region.host, count: region.count).bindMemory(to: UInt64.self)
        for word in words { sum = (sum ^ word) &* 0x100_0000_01B3 }
      }
      return sum
    }

    @Test(
      "nothing changes its memory, and its program continues with verified data afterwards", arguments: programs,
      [0, EventLoop.usualPollLimit])
    func quiet(program: String, pollLimit: UInt64) throws {
      var kept: [AnyObject] = []
      var pauses = 0
      defer { withExtendedLifetime(kept) {} }
      let run = try GuestRun(program + " duration-ms=1000") { configuration, loop in
        loop.pollLimit = pollLimit
        if program.contains("disk") {
          let file = try UnnamedFile(in: NSTemporaryDirectory(), size: 8 << 20)
          kept = [file]
          let storage = try FileStorage(path: file.path, loop: loop, counters: loop.counters)
          configuration.disks = [
            .init(storage: storage, model: program.contains("ide") ? .ide : .virtio, serial: "PAUSE")
          ]
        } else {
          let network = NetworkSwitch(loop: loop)
          let port = network.makePort(name: "vm")
          let endpoint = StreamEndpoint(backend: network.makePort(name: "endpoint"), loop: loop)
          kept = [network, endpoint]
          configuration.nics = [
            .init(
              backend: port, model: program.contains("e1000") ? .e1000 : .virtio, macAddress: [2, 0, 0, 0, 0, 0x10])
          ]
        }
      } while: { machine in
        // A pause of a guest that has ended has no effect, so count.
        while machine.pause() {
          #expect(machine.pause())
          pauses += 1
          let time = machine.vCPUTime
          let before = sum(machine)
          usleep(20_000)
          #expect(sum(machine) == before)
          #expect(machine.vCPUTime - time < 5_000_000, "of 20 ms: it only goes to sleep")
          machine.resume()
          machine.resume()
          usleep(60_000)
        }
      }
      #expect(pauses > 1)
      #expect(run.exitValue == 0, "\(run.lines)")
      #expect(Int(run.event("sample")?["operations"] ?? "") ?? 0 > 0)
    }

    @Test("its watchdog pauses too")
    func watchdog() throws {
      let run = try GuestRun("program=console receive=1") { configuration, _ in
        configuration.watchdog = 300_000_000
      } while: { machine in
        usleep(50_000)
        machine.pause()
        usleep(600_000)
        machine.resume()
        usleep(50_000)
        machine.serial.receive([0x41])
      }
      #expect(run.exitValue == 0, "\(run.outcome)")
    }

    @Test("pausing while it starts neither blocks its start nor wakes its watchdog")
    func start() throws {
      let loop = try EventLoop(name: "io")
      loop.start()
      defer { loop.stop() }
      var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
      configuration.commandLine = "program=console receive=1"
      configuration.watchdog = 100_000_000
      let machine = try Machine(configuration, system: System(), loop: loop)
      let pauser = BackgroundThread { machine.pause() }
      pauser.start()
      usleep(50_000)
      machine.start()
      pauser.join()
      usleep(300_000)
      machine.stop()
      guard case .stopped = machine.wait() else {
        Issue.record("its watchdog ended it")
        return
      }
    }

    @Test("stop ends it, and so does its time limit")
    func ends() throws {
      let stopped = try GuestRun(
        "program=console receive=1",
        while: { machine in
          machine.pause()
          machine.stop()
          machine.pause()
          machine.resume()
        })
      guard case .stopped = stopped.outcome else {
        Issue.record("\(stopped.outcome)")
        return
      }
      let timedOut = try GuestRun("program=console receive=1") { configuration, _ in
        configuration.timeout = 100_000_000
      } while: {
        $0.pause()
      }
      guard case .timedOut = timedOut.outcome else {
        Issue.record("\(timedOut.outcome)")
        return
      }
    }
  }
}
