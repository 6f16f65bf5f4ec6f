import Machine
import TestSupport
import Testing
import Workload

extension GuestTests {
  @Suite("A machine is killed and its disk loses power", .timeLimit(.minutes(10)))
  struct PowerLossTests {
    /// How a guest makes a record durable, and at how many points it is killed: 100 for each device.
    struct Way: Sendable, CustomTestStringConvertible {
      var name: String
      var model: MachineConfiguration.Disk.Model
      var parameters: String
      var points: Int
      var testDescription: String { name }
    }

    @Test(
      "every record that the guest reported as synced is on the medium with its content",
      arguments: [
        Way(name: "VIRTIO_BLK_T_FLUSH", model: .virtio, parameters: "device=virtio-blk", points: 50),
        Way(
          name: "virtio-blk without VIRTIO_BLK_F_FLUSH", model: .virtio,
          parameters: "device=virtio-blk cache=writethrough", points: 50),
        Way(name: "FLUSH CACHE", model: .ide, parameters: "device=ide style=lean", points: 40),
        Way(name: "FLUSH CACHE EXT", model: .ide, parameters: "device=ide style=linux", points: 30),
        Way(name: "ATA write cache off", model: .ide, parameters: "device=ide cache=writethrough", points: 30),
      ])
    func synced(way: Way) throws {
      var random = RandomNumbers(seed: 0x5EED)
      var said = 0
      var lost = 0
      for point in 0..<way.points {
        let operations = 2 + Int(random.next() % 24)
        let storage = try VolatileStorage(sectorCount: 64, powerLossAfter: operations)
        let run = try GuestRun("program=disk operation=record records=64 \(way.parameters)") { configuration, _ in
          configuration.memorySize = 16 << 20
          configuration.disks = [.init(storage: storage, model: way.model, serial: "VOLATILE")]
        } while: { machine in
          #expect(storage.lostPower.wait(nanoseconds: 20_000_000_000), "it was not killed")
          machine.stop()
        }
        let records = run.events.filter { $0["event"] == "synced" }.compactMap { $0["record"].flatMap { Int($0) } }
        for record in records {
          let sector = UnsafeRawBufferPointer(rebasing: storage.medium[512 * record..<512 * (record + 1)])
          #expect(
            TestDisk.check(sector, sector: UInt64(record), generation: 1),
            "record \(record) was synced and is lost: killed at operation \(operations), point \(point)")
        }
        #expect(run.event("failed") == nil)
        said += records.count
        lost += storage.lostWrites
      }
      #expect(said > way.points)
      // A kill between a write and its flush must lose cached writes.
      if !way.parameters.contains("writethrough") { #expect(lost > 0) }
    }
  }
}
