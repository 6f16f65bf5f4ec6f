import EventLoop
import Glibc
import Machine
import TestSupport
import Testing
import Threads

extension GuestTests {
  /// Tests/DevicesTests/E1000/E1000TailPageTests.swift has each step alone, without a vCPU.
  @Suite("an e1000 whose tail is RAM, on a vCPU", .timeLimit(.minutes(10)))
  struct TailPageGuestTests {
    /// Runs program `tails`, and checks its frames.
    private func run(
      rounds: Int, pollLimit: UInt64 = 0, disabled: Set<AccelerationSwitch> = [],
      while body: (Machine) -> Void = { _ in }
    ) throws -> GuestRun {
      let network = RecordedNetwork()
      let run = try GuestRun("program=tails rounds=\(rounds)") { configuration, loop in
        loop.pollLimit = pollLimit
        configuration.disabled = disabled
        configuration.nics = [.init(backend: network, model: .e1000, macAddress: [2, 0, 0, 0, 0, 0x10])]
      } while: {
        body($0)
      }
      try #require(run.exitValue == 0, "\(run.lines)")
      let frames = Int(run.event("tails")?["frames"] ?? "") ?? 0
      #expect(frames >= rounds * 200)
      let numbers = network.sent.map { frame in
        frame.bytes[16..<24].enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
      }
      #expect(numbers == (0..<UInt64(frames)).map { $0 })
      return run
    }

    @Test(
      "each frame arrives once and in order, while the guest turns parts off, moves the BAR, resets the device and stops",
      arguments: [0, EventLoop.usualPollLimit])
    func disturbed(pollLimit: UInt64) throws {
      let run = try run(rounds: 60, pollLimit: pollLimit)
      // A page that is hidden takes 64 exits to come back. 40 of the 60 rounds hide it.
      #expect(run.counters.exits < 12_000 / 2, "\(run.counters.exits)")
      // 40 rounds hide the page, and 200 frames show it again, unless the host stalls for 10 ms.
      #expect(run.counters[.pagesShown] > 20)
      // A store to a closed page. Nothing else here makes KVM_RUN return for another reason.
      #expect(run.counters[.exitsOther] > 0)
      #expect(run.counters[.kvmRefusals] == 0)
    }

    @Test("each frame arrives once and in order, while the machine is paused at any time")
    func paused() throws {
      var pauses = 0
      _ = try run(rounds: 60) { machine in
        while machine.pause() {
          pauses += 1
          usleep(UInt32(pauses % 7) * 500)
          machine.resume()
          usleep(UInt32(1_000 + pauses % 11 * 300))
        }
      }
      #expect(pauses > 10)
    }

    @Test("with --disable tail-pages each tail write exits")
    func disabled() throws {
      let run = try run(rounds: 6, disabled: [.tailPages])
      #expect(run.counters[.exitsMMIO] >= 1_200)
      #expect(run.counters[.pagesShown] == 0)
    }
  }
}
