import Backends
import EventLoop
import Failures
import Foundation
import GuestMemory
import KVM
import Machine
import Synchronization
import TestSupport
import Testing

@testable import Measurement

/// A NIC's backend that flips a bit in one frame, or drops it.
private final class DamagingBackend: NetworkBackend {
  enum Fault: Sendable { case flip, drop }
  private let inner: any NetworkBackend
  private let fault: Fault
  private let number: Int
  private let sent = Atomic<Int>(0)

  init(_ inner: any NetworkBackend, _ fault: Fault, number: Int) {
    self.inner = inner
    self.fault = fault
    self.number = number
  }

  var kind: String { inner.kind }
  var acceptedOffloads: NetworkOffloads { inner.acceptedOffloads }
  func connect(_ receiver: (any FrameReceiver)?) { inner.connect(receiver) }
  func sentBurst() { inner.sentBurst() }
  func receiverReady() { inner.receiverReady() }

  func send(_ frame: Frame) {
    guard sent.add(1, ordering: .relaxed).newValue == number else { return inner.send(frame) }
    guard fault == .flip else { return }
    var bytes = [UInt8](repeating: 0, count: frame.count)
    bytes.withUnsafeMutableBytes { copy in
      _ = frame.pieces.copyOut(into: copy)
      copy[copy.count - 1] ^= 1
      inner.send(Frame(pieces: ScatterList(copy)))
    }
  }
}

@Suite("Guests after HPCC", .serialized, .needsKVM, .timeLimit(.minutes(10)))
struct HPCCGuestTests {
  private func withBench(_ body: (HPCCBench) throws -> Void) throws {
    let loop = try EventLoop(name: "io")
    loop.start()
    defer { loop.stop() }
    var options = ComparisonOptions(isQuick: true, directory: NSTemporaryDirectory())
    options.duration = 25_000_000
    try body(HPCCBench(options, system: System(), loop: loop))
  }

  private func check(_ load: HPCCBench.Load, _ session: any Sampled) throws {
    defer { session.close() }
    for _ in 0..<2 {
      let sample = try session.sample()
      #expect(sample.operations > 0 && sample.bytes > 0 && sample.nanoseconds > 0, "\(load.words)")
      #expect((sample.values["p50"] ?? 0 > 0) == (load.experiment == .hpccLatency), "\(load.words)")
      #expect(sample.values["residual"].map { $0 < 16_000 } == true)
      #expect(sample.drops == [:])
      #expect(sample.counters != nil)
    }
  }

  @Test("each program runs on two vCPUs of one VM", arguments: HPCCKernelTests.loads.indices)
  func processors(load: Int) throws {
    let load = HPCCKernelTests.loads[load]
    try withBench { try check(load, $0.oneMachine(load, ranks: 2)) }
  }

  @Test("STREAM, PTRANS and HPL run on one vCPU", arguments: [0, 7, 8])
  func single(load: Int) throws {
    let load = HPCCKernelTests.loads[load]
    try withBench { try check(load, $0.oneMachine(load, ranks: 1)) }
  }

  @Test(
    "each program runs on two VMs, over e1000 and over virtio-net", arguments: HPCCKernelTests.loads.indices,
    [MachineConfiguration.NIC.Model.e1000, .virtio])
  func machines(load: Int, model: MachineConfiguration.NIC.Model) throws {
    let load = HPCCKernelTests.loads[load]
    try withBench { try check(load, $0.machines(load, ranks: 2, model)) }
  }

  @Test("a ring in random order runs on four VMs", arguments: [MachineConfiguration.NIC.Model.e1000, .virtio])
  func four(model: MachineConfiguration.NIC.Model) throws {
    let load = HPCCBench.Load.ring("random", bytes: 200_000)
    try withBench { try check(load, $0.machines(load, ranks: 4, model)) }
  }

  @Test(
    "a damaged or lost frame of either rank fails the sample and names the reason",
    arguments: [MachineConfiguration.NIC.Model.e1000, .virtio], [0, 1])
  func damaged(model: MachineConfiguration.NIC.Model, rank: Int) throws {
    let load = HPCCBench.Load.ring("natural", bytes: 200_000)
    for fault in [DamagingBackend.Fault.flip, .drop] {
      try withBench { bench in
        bench.patience = 1000
        bench.wrap = { $1 == rank ? DamagingBackend($0, fault, number: 40) : $0 }
        let failure = try #require(throws: Failure.self) {
          let session = try bench.machines(load, ranks: 2, model)
          defer { session.close() }
          for _ in 0..<20 { _ = try session.sample() }
        }
        let reasons =
          fault == .flip ? ["wrong checksum"] : ["frame or message is missing", "no message came in time"]
        #expect(reasons.contains { failure.cause.contains($0) }, "\(failure)")
      }
    }
  }

  @Test("the same residual on the host, on vCPUs and over NICs: all compute the same bits")
  func sameBits() throws {
    let load = HPCCBench.Load.linpack(96)
    let host = try HostHPCC(threads: 2, load.command, duration: 1_000_000)
    defer { host.close() }
    let wanted = try host.sample().values["residual"]
    #expect(wanted ?? 0 > 0)
    try withBench { bench in
      for session in [
        try bench.oneMachine(load, ranks: 2), try bench.machines(load, ranks: 2, .e1000),
        try bench.machines(load, ranks: 2, .virtio),
      ] {
        defer { session.close() }
        #expect(try session.sample().values["residual"] == wanted)
      }
    }
  }

  @Test(
    "what a program does not support ends it with status 2",
    arguments: [
      "program=hpcc-stream ranks=17", "program=hpcc-ring size=8 ranks=1", "program=hpcc-hpl size=100",
      "program=hpcc-stream kernel=sum", "program=hpcc-ring order=best", "program=hpcc-ptrans size=999999999",
      "program=hpcc-hpl ranks=2 rank=2", "program=hpcc-ring ranks=2 device=rtl8139",
    ])
  func usage(line: String) throws {
    #expect(try GuestRun(line).exitValue == 2)
  }

  @Test("the points have every program, with equal parameters for all sides")
  func points() throws {
    try withBench { bench in
      let points = bench.points
      #expect(
        Set(points.map(\.experiment)) == [
          .hpccStream, .hpccLatency, .hpccBandwidth, .hpccTranspose, .hpccLinpack,
        ])
      #expect(points.count == 12 + 4 + 4 + 3 + 3)
      for point in points {
        let machines = point.sides.filter { [.fullVirtualization, .paravirtualization].contains($0.mode) }
        #expect(machines.count == (point.parameters.ranks == 1 ? 0 : 2))
        // All sides of a row have the point's parameters.
        #expect(point.sides.allSatisfy { $0.parameters == nil })
      }
    }
  }
}
