import Backends
import Counters
import EventLoop
import Machine
import Measurement
import TestSupport
import Testing

extension GuestTests {
  @Suite("Accesses whose cost compare measures, and exits that it adds", .timeLimit(.minutes(10)))
  struct ExitGuestTests {
    /// The guest's run with a NIC that nobody else uses.
    private func run(_ line: String, _ model: MachineConfiguration.NIC.Model) throws -> GuestRun {
      try GuestRun(line) { configuration, loop in
        let port = NetworkSwitch(loop: loop).makePort(name: "vm")
        configuration.nics = [.init(backend: port, model: model, macAddress: [2, 0, 0, 0, 0, 0x10])]
      }
    }

    @Test(
      "a register read exits once, an empty kick and a held write do not",
      arguments: [
        (MachineConfiguration.NIC.Model.e1000, "read", 1.0), (.virtio, "read", 1), (.virtio, "kick", 0),
        (.e1000, "coalesced", 0.02),
      ])
    func access(model: MachineConfiguration.NIC.Model, operation: String, exits: Double) throws {
      let device = model == .e1000 ? "e1000" : "virtio-net"
      func run(_ milliseconds: Int) throws -> (operations: UInt64, exits: UInt64, coalesced: UInt64) {
        let run = try self.run(
          "program=access device=\(device) operation=\(operation) duration-ms=\(milliseconds)", model)
        #expect(run.exitValue == 0)
        let operations = UInt64(run.event("sample")?["operations"] ?? "") ?? 0
        return (operations, run.counters[.exitsMMIO], run.counters[.coalescedWrites])
      }
      // Without time for a sample, there are only the driver's own exits.
      let (setUp, measured) = (try run(0), try run(50))
      #expect(setUp.operations == 0)
      #expect(measured.operations > 100)
      let added = measured.exits - setUp.exits
      if exits == 1 {
        #expect(added == measured.operations)
      } else {
        // One write in 169 exits, because KVM's ring is full.
        #expect(Double(added) <= exits * Double(measured.operations))
      }
      if operation == "coalesced" {
        #expect(measured.coalesced + added >= measured.operations)
      }
    }

    @Test("an access that a device does not offer is an error of the command line")
    func unknown() throws {
      for (line, model) in [
        ("device=e1000 operation=kick", MachineConfiguration.NIC.Model.e1000),
        ("device=virtio-net operation=coalesced", .virtio), ("device=ide operation=read", .e1000),
        ("device=e1000", .e1000), ("operation=read", .e1000),
      ] {
        #expect(try run("program=access \(line)", model).exitValue == 2, "\(line)")
      }
    }

    @Test(
      "extra-exits adds exactly that many exits to each read of a disk", arguments: [0, 1, 5],
      [MachineConfiguration.Disk.Model.ide, .virtio])
    func disk(extra: UInt64, model: MachineConfiguration.Disk.Model) throws {
      func exits(_ extra: UInt64) throws -> (operations: UInt64, exits: UInt64) {
        let sample = try diskSample(model, "duration-ms=300 operation=read block=4096 extra-exits=\(extra)")
        let counters = try #require(sample.counters)
        // A virtio-blk read has no exit of its own. A lean IDE read has four at ports.
        return (sample.operations, model == .ide ? counters[.exitsPortIO] : counters[.exitsMMIO])
      }
      let own: UInt64 = model == .ide ? 4 : 0
      let measured = try exits(extra)
      #expect(measured.operations > 10)
      #expect(measured.exits == (own + extra) * measured.operations)
    }

    @Test("extra-exits adds exactly that many exits to each frame that virtio-net sends", arguments: [0, 1, 3])
    func virtioNet(extra: UInt64) throws {
      let (sample, _) = try networkSample(.virtio, "duration-ms=300 operation=send frame=1514 extra-exits=\(extra)")
      #expect(sample.operations > 10)
      #expect(sample.counters?[.exitsMMIO] == extra * sample.operations)
    }

    @Test("extra-exits adds exactly that many reads of STATUS to each frame that an e1000 sends", arguments: [1, 3])
    func e1000(extra: UInt64) throws {
      func reads(_ extra: UInt64) throws -> (operations: UInt64, reads: UInt64) {
        var run: GuestRun?
        try withEndpoint { port in
          run = try GuestRun(
            "program=net device=e1000 operation=send frame=1514 duration-ms=200 peer=\(StreamEndpoint.address) "
              + "extra-exits=\(extra)"
          ) { configuration, loop in
            configuration.nics = [.init(backend: port(loop), model: .e1000, macAddress: [2, 0, 0, 0, 0, 0x10])]
          }
        }
        let result = try #require(run)
        let status = result.exitsByRegister.filter { !$0.isPort && !$0.isWrite && $0.address & 0x1_FFFF == 0x8 }
        return (
          UInt64(result.event("sample")?["operations"] ?? "") ?? 0, status.reduce(0) { $0 + $1.count }
        )
      }
      let (without, with) = (try reads(0), try reads(extra))
      #expect(with.operations > 10)
      #expect(with.reads - without.reads == extra * with.operations)
    }

    /// Gives `body` a port of a switch that has the measuring end-point on its other side.
    private func withEndpoint(_ body: (@escaping (EventLoop) -> SwitchPort) throws -> Void) rethrows {
      var endpoint: StreamEndpoint?
      var network: NetworkSwitch?
      try body { loop in
        let made = NetworkSwitch(loop: loop)
        network = made
        let port = made.makePort(name: "vm")
        endpoint = StreamEndpoint(backend: made.makePort(name: "endpoint"), loop: loop)
        return port
      }
      endpoint?.close()
      _ = network
    }
  }
}
