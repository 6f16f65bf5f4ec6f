import Backends
import Boot
import Counters
import EventLoop
import GuestImages
import KVM
import Machine
import Measurement
import TestSupport
import Testing

extension GuestTests {
  @Suite("NICs of a running guest", .timeLimit(.minutes(10)))
  struct NetworkGuestTests {
    @Test(
      "e1000 and virtio-net send, receive and echo verified frames, by polling and by interrupts",
      arguments: [MachineConfiguration.NIC.Model.e1000, .virtio], ["irq", "poll"])
    func verified(model: MachineConfiguration.NIC.Model, interrupts: String) throws {
      for operation in ["send", "receive", "echo"] {
        for frame in operation == "echo" ? [60] : [60, 1514, 64_294] {
          let (sample, _) = try networkSample(model, "operation=\(operation) frame=\(frame) interrupts=\(interrupts)")
          #expect(sample.operations > 0)
          #expect(sample.drops == [:])
        }
      }
    }

    @Test("the e1000's driver writes the tail once per batch")
    func tailWrites() throws {
      let (sample, _) = try networkSample(.e1000, "operation=send frame=1514 batch=32 interrupts=poll")
      let doorbells = Double(sample.counters?[.doorbells] ?? 0)
      #expect(sample.operations > 200)
      // Two to begin and end, and one per batch. A batch ends early at the end of the window.
      #expect(doorbells <= Double(sample.operations) / 16)
    }

    @Test("virtio-net in bulk exits at most 0.1 times per frame")
    func virtioExits() throws {
      let (sample, _) = try networkSample(.virtio, "operation=send frame=1514 batch=32")
      #expect(Double(sample.counters?.exits ?? .max) / Double(sample.operations) < 0.1)
    }

    @Test("a driver without MQ uses the first of several pairs")
    func withoutMultiqueue() throws {
      for operation in ["send", "receive", "echo"] {
        let (sample, _) = try networkSample(.virtio, "operation=\(operation) frame=1514", queuePairs: 4)
        #expect(sample.operations > 0)
        #expect(sample.drops == [:])
      }
    }

    @Test(
      "a virtio-net has a queue pair for each vCPU, at most four, or the configured number",
      arguments: [(1, nil, 1), (2, nil, 2), (6, nil, 4), (1, 3, 3), (4, 1, 1)] as [(Int, Int?, UInt32)])
    func queuePairs(vCPUs: Int, asked: Int?, pairs: UInt32) throws {
      let configure: (inout MachineConfiguration, EventLoop) -> Void = { configuration, loop in
        configuration.vCPUs = vCPUs
        let port = NetworkSwitch(loop: loop).makePort(name: "vm")
        configuration.nics = [
          .init(backend: port, model: .virtio, macAddress: [2, 0, 0, 0, 0, 0x10], queuePairs: asked)
        ]
      }
      var vectors: [UInt32] = []
      _ = try GuestRun("program=hello", configure: configure) { machine in
        vectors = machine.bridge.functions.compactMap { _, _, function in
          // The table's size minus one, which is the number of queues (PCI 3.0, 6.8.2.3).
          function.capability(0x11).map { function.readConfiguration($0 + 2, width: 2) & 0x7FF }
        }
      }
      #expect(vectors == [2 * pairs + 1])
    }

    @Test("the e1000's driver in Linux's style moves the same frames")
    func linuxStyle() throws {
      for operation in ["send", "receive", "echo"] {
        #expect(try networkSample(.e1000, "operation=\(operation) frame=1514 style=linux").sample.operations > 0)
      }
    }

    @Test(
      "with an acceleration turned off, the same frames move",
      arguments: [AccelerationSwitch.ioeventfd, .irqfd, .coalescing, .msix, .eventIndex, .moderation],
      [MachineConfiguration.NIC.Model.e1000, .virtio])
    func switches(disabled: AccelerationSwitch, model: MachineConfiguration.NIC.Model) throws {
      for operation in ["send", "receive"] {
        // By ioctl, a level-triggered interrupt can take 70 ms to wake a halted vCPU of the software KVM.
        let (sample, _) = try networkSample(
          model, "duration-ms=400 operation=\(operation) frame=1514", disabled: [disabled])
        #expect(sample.operations > 0)
      }
    }
  }
}
