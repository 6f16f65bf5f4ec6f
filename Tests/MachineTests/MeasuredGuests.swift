import Backends
import Boot
import Counters
import EventLoop
import GuestImages
import KVM
import Machine
import Measurement
import TestSupport

/// One sample of the network program against the measuring end-point.
///
/// - Parameter limit: bytes a second in each direction; nil for any number.
func networkSample(
  _ model: MachineConfiguration.NIC.Model, _ parameters: String, disabled: Set<AccelerationSwitch> = [],
  queuePairs: Int? = nil, pollLimit: UInt64 = 0, limit: UInt64? = nil
) throws -> (sample: MeasuredSample, byOwner: [String: CounterSnapshot]) {
  let loop = try EventLoop(name: "io")
  loop.pollLimit = pollLimit
  loop.start()
  defer { loop.stop() }
  let network = NetworkSwitch(loop: loop)
  let port = network.makePort(name: "vm")
  let endpoint = StreamEndpoint(backend: network.makePort(name: "endpoint"), loop: loop)
  var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
  configuration.commandLine =
    "program=net wait=1 samples=2 peer=\(StreamEndpoint.address) "
    + "device=\(model == .e1000 ? "e1000" : "virtio-net") \(parameters) duration-ms=50"
  configuration.memorySize = 64 << 20
  let limitCounters = Counters(owner: "limit")
  let backend: any NetworkBackend =
    limit.map { LimitedBackend(port, bytes: $0, loop: loop, counters: limitCounters) } ?? port
  configuration.nics = [
    .init(backend: backend, model: model, macAddress: [2, 0, 0, 0, 0, 0x10], queuePairs: queuePairs)
  ]
  configuration.disabled = disabled
  let session = try MachineSession(
    configuration, system: System(), loop: loop, network: [port.counters, limitCounters], endpoint: endpoint)
  defer {
    session.close()
    endpoint.close()
  }
  let sample = try session.sample()
  return (sample, Dictionary(session.machine.countersByOwner.map { ($0.owner, $0.counters) }) { $1 })
}

/// One sample of the disk program on a disk in memory, without the counts of its set-up.
func diskSample(
  _ model: MachineConfiguration.Disk.Model, _ parameters: String, pollLimit: UInt64 = 0
) throws -> MeasuredSample {
  let loop = try EventLoop(name: "io")
  loop.pollLimit = pollLimit
  loop.start()
  defer { loop.stop() }
  var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
  configuration.commandLine =
    "program=disk wait=1 samples=2 device=\(model == .ide ? "ide" : "virtio-blk") \(parameters) duration-ms=50 span=4194304"
  configuration.memorySize = 64 << 20
  try configuration.addMemoryDisk(model)
  let session = try MachineSession(configuration, system: System(), loop: loop)
  defer { session.close() }
  return try session.sample()
}
