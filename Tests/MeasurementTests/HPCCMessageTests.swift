import CHPCC
import Foundation
import Testing
import Threads

@testable import Measurement

/// A wire between ranks that may damage one of their frames.
private final class FaultyWire: Sendable {
  enum Fault: Sendable {
    case none
    /// Flips a bit of the byte at an offset.
    case flip(offset: Int)
    case drop, repeated
  }
  private struct State {
    var sent = 0
    /// The frames for each rank.
    var arrived: [[[UInt8]]]
  }
  private let state: Guarded<State>
  private let fault: Fault
  private let number: Int

  /// - Parameter number: the frame to damage, in the order of sending.
  init(ranks: Int, _ fault: Fault, number: Int) {
    self.fault = fault
    self.number = number
    state = Guarded(.leaf, State(arrived: Array(repeating: [], count: ranks)))
  }

  func send(_ frame: [UInt8]) {
    state.withLock { state in
      var frame = frame
      let rank = Int(frame[5]) - 0x20
      var copies = 1
      if state.sent == number {
        switch fault {
        case .none: break
        case .flip(let offset): frame[min(offset, frame.count - 1)] ^= 0x10
        case .drop: copies = 0
        case .repeated: copies = 2
        }
      }
      state.sent += 1
      for _ in 0..<copies { state.arrived[rank].append(frame) }
    }
  }

  /// The next frame of a rank. At most 1024 frames fit the ring of a real device.
  func receive(_ rank: Int) -> (frame: [UInt8]?, waiting: Int) {
    state.withLock { state in
      let waiting = state.arrived[rank].count
      return (waiting == 0 ? nil : state.arrived[rank].removeFirst(), waiting)
    }
  }
}

/// The NIC of one rank at the wire. Only the rank's thread uses it.
// Unchecked: see above.
private final class WireNIC: @unchecked Sendable {
  let rank: Int
  let wire: FaultyWire
  let out = UnsafeMutableRawBufferPointer.allocate(byteCount: 2048, alignment: 16)
  let received = UnsafeMutableRawBufferPointer.allocate(byteCount: 2048, alignment: 16)
  let device = UnsafeMutablePointer<hpcc_device>.allocate(capacity: 1)
  let state = UnsafeMutablePointer<hpcc_rank>.allocate(capacity: 1)
  let memory: UnsafeMutableRawBufferPointer
  var highWater = 0

  init(_ wire: FaultyWire, rank: Int, ranks: Int, _ command: hpcc_command, patience: UInt64) {
    self.rank = rank
    self.wire = wire
    var command = command
    memory = .allocate(byteCount: Int(hpcc_memory_bytes(&command, UInt32(ranks))), alignment: 64)
    device.initialize(to: hpcc_device())
    state.initialize(to: hpcc_rank())
    device.pointee.context = Unmanaged.passUnretained(self).toOpaque()
    device.pointee.buffer = { WireNIC.of($0).out.baseAddress }
    device.pointee.transmit = { context, bytes in
      let nic = WireNIC.of(context)
      nic.wire.send(Array(nic.out[0..<Int(bytes)]))
    }
    device.pointee.kick = { _ in }
    device.pointee.receive = { context, bytes in WireNIC.of(context).receive(bytes) }
    device.pointee.recycle = { _ in }
    device.pointee.wait = { _ in usleep(50) }
    state.pointee.rank = UInt32(rank)
    state.pointee.ranks = UInt32(ranks)
    state.pointee.now = { UInt64(DispatchTime.now().uptimeNanoseconds) }
    state.pointee.patience = patience
    state.pointee.device = UnsafePointer(device)
    state.pointee.memory = memory.baseAddress
    state.pointee.memory_bytes = UInt64(memory.count)
  }

  deinit {
    for buffer in [out, received, memory] { buffer.deallocate() }
    device.deallocate()
    state.deallocate()
  }

  private static func of(_ context: UnsafeMutableRawPointer?) -> WireNIC {
    Unmanaged.fromOpaque(context.unsafelyUnwrapped).takeUnretainedValue()
  }

  private func receive(_ bytes: UnsafeMutablePointer<UInt32>?) -> UnsafeRawPointer? {
    let (frame, waiting) = wire.receive(rank)
    highWater = max(highWater, waiting)
    guard let frame else { return nil }
    received.copyBytes(from: frame)
    bytes?.pointee = UInt32(frame.count)
    return UnsafeRawPointer(received.baseAddress)
  }
}

@Suite("Messages of ranks with NICs", .timeLimit(.minutes(10)))
struct HPCCMessageTests {
  private struct Outcome {
    var status: UInt32
    var followers: [UInt32]
    var highWater: Int
  }

  /// Prepares, runs and verifies a program. Each rank has a thread.
  private func run(
    _ load: HPCCBench.Load, ranks: Int, rounds: UInt64 = 3, _ fault: FaultyWire.Fault = .none, number: Int = 0,
    patience: UInt64 = 300_000_000
  ) throws -> Outcome {
    let code = try GuestCode(section: ".hpcc")
    let call = unsafeBitCast(code.start, to: HostHPCC.Call.self)
    let wire = FaultyWire(ranks: ranks, fault, number: number)
    let nics = (0..<ranks).map { WireNIC(wire, rank: $0, ranks: ranks, load.command, patience: patience) }
    for nic in nics { #expect(call(HPCC_START.rawValue, nic.state, nil, 0) == HPCC_OK.rawValue) }
    let results = Guarded<[Int: UInt32]>(.leaf, [:])
    let threads = nics.dropFirst().map { nic in
      BackgroundThread {
        let call = unsafeBitCast(code.start, to: HostHPCC.Call.self)
        let status = call(HPCC_FOLLOW.rawValue, nic.state, nil, 0)
        results.withLock { $0[nic.rank] = status }
      }
    }
    for thread in threads { thread.start() }
    var command = load.command
    command.rounds = rounds
    var status = HPCC_OK.rawValue
    for action in [HPCC_PREPARE, HPCC_RUN, HPCC_VERIFY, HPCC_QUIT] where status == HPCC_OK.rawValue {
      command.action = action.rawValue
      status = call(HPCC_LEAD.rawValue, nics[0].state, &command, 0)
    }
    for thread in threads { thread.join() }
    return Outcome(
      status: status, followers: results.withLock { results in (1..<ranks).map { results[$0] ?? .max } },
      highWater: nics.map(\.highWater).max() ?? 0)
  }

  @Test(
    "each program runs over frames, and never has more in flight than a NIC has buffers",
    arguments: HPCCKernelTests.loads.indices, [2, 4])
  func whole(load: Int, ranks: Int) throws {
    let outcome = try run(HPCCKernelTests.loads[load], ranks: ranks, patience: 20_000_000_000)
    #expect(outcome.status == HPCC_OK.rawValue)
    #expect(outcome.followers.allSatisfy { $0 == HPCC_OK.rawValue })
    #expect(outcome.highWater <= 1008)
  }

  @Test("a flipped bit in any part of a data frame ends the run of all ranks", arguments: [0, 4, 20, 40])
  func flipped(number: Int) throws {
    // Addresses and the EtherType are not under the checksum: such a frame is for nobody, and so lost.
    for offset in [12, 14, 15, 16, 20, 24, 28, 32, 39, 40, 47, 100, 1511] {
      let outcome = try run(.ring("natural", bytes: 30_000), ranks: 2, .flip(offset: offset), number: number)
      #expect(outcome.status != HPCC_OK.rawValue, "offset \(offset)")
      #expect(outcome.followers.allSatisfy { $0 != HPCC_OK.rawValue && $0 != .max }, "offset \(offset)")
    }
  }

  @Test("a flipped bit of the payload is a wrong checksum")
  func checksum() throws {
    let outcome = try run(.ring("natural", bytes: 30_000), ranks: 2, .flip(offset: 200), number: 20)
    #expect(outcome.status == HPCC_CORRUPT.rawValue)
    #expect(outcome.followers == [HPCC_CORRUPT.rawValue])
  }

  @Test("a lost frame ends the run as a gap, or by the time-out if it was the last one", arguments: [0, 3, 20, 40])
  func lost(number: Int) throws {
    let outcome = try run(.ring("random", bytes: 30_000), ranks: 4, .drop, number: number)
    #expect([HPCC_ORDER.rawValue, HPCC_TIMEOUT.rawValue].contains(outcome.status))
    #expect(outcome.followers.allSatisfy { $0 == outcome.status })
  }

  @Test("a frame that comes twice ends the run", arguments: [0, 10, 30])
  func repeated(number: Int) throws {
    let outcome = try run(.ring("natural", bytes: 30_000), ranks: 2, .repeated, number: number)
    #expect(outcome.status == HPCC_ORDER.rawValue)
    #expect(outcome.followers == [HPCC_ORDER.rawValue])
  }

  @Test("a rank without an answer gives up after its patience")
  func silence() throws {
    let code = try GuestCode(section: ".hpcc")
    let call = unsafeBitCast(code.start, to: HostHPCC.Call.self)
    var command = HPCCBench.Load.transpose(64).command
    let wire = FaultyWire(ranks: 2, .none, number: 0)
    let nic = WireNIC(wire, rank: 0, ranks: 2, command, patience: 50_000_000)
    #expect(call(HPCC_START.rawValue, nic.state, nil, 0) == HPCC_OK.rawValue)
    #expect(call(HPCC_LEAD.rawValue, nic.state, &command, 0) == HPCC_TIMEOUT.rawValue)
    #expect(nic.state.pointee.culprit == 1)
  }
}
