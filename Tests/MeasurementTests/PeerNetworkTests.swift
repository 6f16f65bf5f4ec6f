import Backends
import Counters
import EventLoop
import Failures
import Foundation
import KVM
import TestSupport
import Testing

@testable import Measurement

@Suite("NICs beside QEMU, over taps in a network namespace", .serialized, .timeLimit(.minutes(10)))
struct PeerNetworkTests {
  private static var options: ComparisonOptions {
    var options = ComparisonOptions(isQuick: true, directory: NSTemporaryDirectory())
    options.groups = [.net]
    options.repetitions = 1
    options.peer = "qemu-system-x86_64"
    return options
  }

  private func failure(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test("each row has swiftlet, QEMU and the host with equal parameters, and drops no frame", .needsQEMU, .needsTaps)
  func rows() throws {
    let comparison = try Comparison(Self.options, system: System()) { _, _, _ in }
    let records = try comparison.run().filter { $0.parameters.backend == "tap" }
    #expect(comparison.peerFailure == nil && comparison.peerNetworkFailure == nil)
    let own = records.filter { $0.vmm == "swiftlet" }
    let peer = records.filter { $0.vmm == "qemu" }
    let host = records.filter { $0.mode == .host }
    for other in [peer, host] {
      // Without a guest there is nobody to echo.
      let twins = own.filter { $0.experiment != .netLatency || other[0].mode != .host }
      #expect(other.map(\.experiment) == twins.map(\.experiment))
      #expect(other.map(\.parameters) == twins.map(\.parameters))
      #expect(other.map { $0.throughput?.unit } == twins.map { $0.throughput?.unit })
    }
    #expect(own.map(\.device) == peer.map(\.device))
    func frames(_ experiment: Record.Experiment, _ device: Record.Device) -> [Int?] {
      own.filter { $0.experiment == experiment && $0.device == device }.map(\.parameters.frameBytes)
    }
    #expect(frames(.netSend, .virtioNet) == [60, 1514, 64_294])
    #expect(frames(.netReceive, .virtioNet) == [60, 1514, 64_294])
    #expect(frames(.netInterVM, .virtioNet) == [60, 1514, 64_294])
    #expect(frames(.netLatency, .virtioNet) == [60])
    #expect(frames(.netSend, .e1000) == [60, 1514, 64_294])
    #expect(frames(.netReceive, .e1000) == [60, 1514])
    #expect(own.count == 15)
    for record in records {
      let name = "\(record.vmm) \(record.device) \(record.experiment) \(record.parameters)"
      #expect(record.operations > 0, "\(name)")
      #expect(record.drops == [:], "\(name)")
      #expect(record.parameters.interrupts == (record.device == .e1000 ? "poll" : "irq") || record.mode == .host)
      #expect((record.perOperation.exits == nil) == (record.vmm != "swiftlet"), "\(name)")
      #expect((record.perOperation.kernelExits == nil) == (record.mode == .host), "\(name)")
      #expect((record.cpuSeconds.vCPU > 0) == (record.mode != .host), "\(name)")
      #expect((record.cpuSeconds.endpoint > 0) == (record.experiment != .netInterVM || record.mode == .host), "\(name)")
      let commands = record.commandLine?.components(separatedBy: "-netdev tap,id=n0,fd=5").count ?? 1
      #expect(commands - 1 == (record.vmm == "qemu" ? record.parameters.vms : 0), "\(name)")
    }
  }

  // MARK: Where it is not allowed

  @Test("without the right to make a namespace: one line with the command that helps, and the other rows", .needsQEMU)
  func forbidden() throws {
    var options = Self.options
    options.unshare = {
      errno = EPERM
      return -1
    }
    let message = failure { _ = try TapNetwork(unshare: options.unshare) }
    #expect(message.hasPrefix("make a network namespace with taps: it needs CAP_SYS_ADMIN. Run it as root, "))
    #expect(message.contains("unshare --user --map-root-user /"))
    let loop = try EventLoop()
    let system = try System()
    let comparison = try Comparison(options, system: system) { _, _, _ in }
    let bench = NetworkBench(options, system: system, loop: loop)
    let points = try comparison.points(nil, bench)
    #expect(comparison.peerNetworkFailure?.description == message)
    #expect(Array(points.map(\.title).prefix(bench.points.count)) == bench.points.map(\.title))
    #expect(!points.contains { $0.parameters.backend == "tap" })
  }

  // MARK: What is verified

  /// Changes one byte of the 100th large frame, or drops it.
  private final class DamagingBackend: NetworkBackend, @unchecked Sendable {
    private let backend: TapBackend
    private let drops: Bool
    private var count = 0
    var kind: String { backend.kind }
    var acceptedOffloads: NetworkOffloads { backend.acceptedOffloads }

    init(_ backend: TapBackend, drops: Bool) {
      self.backend = backend
      self.drops = drops
    }

    func connect(_ receiver: (any FrameReceiver)?) { backend.connect(receiver) }
    func sentBurst() { backend.sentBurst() }
    func receiverReady() { backend.receiverReady() }

    func send(_ frame: Frame) {
      if frame.count > 60 { count += 1 }
      if count == 100, drops { return }
      if count == 100 { frame.pieces.pieces[0].iov_base?.storeBytes(of: 0xAA, toByteOffset: 777, as: UInt8.self) }
      backend.send(frame)
    }
  }

  @Test("a wrong byte or a lost frame between two taps is found", .needsTaps, arguments: [true, false])
  func damage(drops: Bool) throws {
    let network = try TapNetwork()
    let loops = [try EventLoop(name: "sender"), try EventLoop(name: "receiver")]
    for loop in loops { loop.start() }
    defer { for loop in loops { loop.stop() } }
    let sender = StreamEndpoint(
      backend: DamagingBackend(try network.backend("tap0", loop: loops[0]), drops: drops), loop: loops[0])
    let receiver = StreamEndpoint(
      backend: try network.backend("tap1", loop: loops[1]), loop: loops[1], address: 0x0300_0000_0002)
    defer { for endpoint in [sender, receiver] { endpoint.close() } }
    let message = failure { _ = try receiver.receive(frameBytes: 1514, from: sender, duration: 100_000_000) }
    #expect(message.hasPrefix("stream frames of 1514 bytes between two endpoints: "), "\(message)")
    #expect(message.contains(" frames were wrong, "), "\(message)")
  }

  @Test("the host's stream between two taps arrives whole", .needsTaps, arguments: [60, 1514, 64_294])
  func host(frame: Int) throws {
    let taps = try HostTaps(frameBytes: frame, duration: 50_000_000)
    defer { taps.close() }
    for _ in 0..<2 {
      let sample = try taps.sample()
      #expect(sample.operations > 0)
      #expect(sample.bytes == sample.operations * UInt64(frame))
      #expect(sample.drops == [:])
    }
  }

  @Test("a tap queues 4096 frames for its reader; the others are counted as dropped", .needsTaps)
  func drops() throws {
    let network = try TapNetwork()
    let taps = [try network.descriptor("tap0"), try network.descriptor("tap1")]
    defer { for tap in taps { close(tap) } }
    #expect(network.drops == [:])
    // A header of 12 zeroes, then a frame to all.
    let frame =
      [UInt8](repeating: 0, count: 12) + [UInt8](repeating: 0xFF, count: 6) + [2, 0, 0, 0, 0, 1]
      + [0x88, 0xB5] + [UInt8](repeating: 0, count: 46)
    for _ in 0..<5000 { #expect(write(taps[0], frame, frame.count) == frame.count) }
    #expect(network.drops == ["tap1": 5000 - 4096])
  }

  @Test("a tap keeps its link although the loop's thread is in another namespace", .needsTaps)
  func link() throws {
    let loop = try EventLoop()
    loop.start()
    defer { loop.stop() }
    let network = try TapNetwork()
    // Connecting it with the bridge makes the monitor ask again.
    let tap = try network.backend("tap0", loop: loop)
    #expect(tap.state.hasLink)
    #expect(tap.counters[.linkChanges] == 0)
  }

  // MARK: What stays behind

  /// Descriptors of namespaces, open taps with our names, and children that have a tap.
  private var traces: [String] {
    func names(_ path: String) -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }
    func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
    var found: [String] = []
    for name in names("/proc/self/fd") {
      let target = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")) ?? ""
      if target.hasPrefix("net:[") { found.append("namespace") }
      let tap = text("/proc/self/fdinfo/\(name)").split(separator: "\n").first { $0.hasPrefix("iff:") } ?? ""
      if ["tap0", "tap1", "host0"].contains(where: tap.hasSuffix) { found.append("tap") }
    }
    for thread in names("/proc/self/task") {
      for child in text("/proc/self/task/\(thread)/children").split(separator: " ")
      where text("/proc/\(child)/cmdline").contains("tap,id=n0,fd=5") { found.append("child") }
    }
    return found.sorted()
  }

  private var interfaces: [String] {
    guard let list = if_nameindex() else { return [] }
    defer { if_freenameindex(list) }
    var names: [String] = []
    var next = list
    while let name = next.pointee.if_name {
      names.append(String(cString: name))
      next += 1
    }
    return names
  }

  @Test("no namespace, tap, child or interface stays behind, also after a guest that fails", .needsQEMU, .needsTaps)
  func leavesNothing() throws {
    let before = interfaces
    #expect(traces == [])
    let loop = try EventLoop(name: "io")
    loop.start()
    defer { loop.stop() }
    let options = Self.options
    let bench = NetworkBench(options, system: try System(), loop: loop)
    let peer = try Peer(QEMUProgram(path: "qemu-system-x86_64"), folder: options.directory)
    let points = bench.points(beside: peer).filter { $0.parameters.frameBytes == 60 }
    for (experiment, expected) in [
      (Record.Experiment.netSend, ["child", "namespace", "namespace", "namespace", "tap", "tap", "tap", "tap", "tap"]),
      (.netInterVM, ["child", "child", "namespace", "namespace", "namespace", "tap", "tap", "tap", "tap"]),
    ] {
      let point = try #require(points.first { $0.experiment == experiment })
      let sides = try point.sides.map { try $0.make() }
      for side in sides { #expect(try side.sample().drops == [:]) }
      #expect(traces == expected)
      #expect(interfaces == before)
      for side in sides { side.close() }
    }
    // QEMU refuses to start.
    let broken = try UnnamedFile(in: options.directory)
    #expect(throws: (any Error).self) {
      _ = try bench.points(beside: Peer(peer.program, kernel: broken))[0].sides.last?.make()
    }
    #expect(traces == [])
    #expect(interfaces == before)
  }
}
