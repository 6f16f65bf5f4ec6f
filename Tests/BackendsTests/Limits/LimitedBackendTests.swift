import Backends
import Counters
import EventLoop
import GuestMemory
import Testing

@Suite("A NIC's backend with a limit")
struct LimitedBackendTests {
  /// The backend below the limit, with frames of its own for the NIC.
  private final class Wire: NetworkBackend, @unchecked Sendable {
    let kind = "test"
    let acceptedOffloads: NetworkOffloads = [.checksum, .tso4]
    var receiver: (any FrameReceiver)?
    var sent: [[UInt8]] = []
    var waiting: [[UInt8]] = []

    func connect(_ receiver: (any FrameReceiver)?) { self.receiver = receiver }
    func send(_ frame: Frame) { sent.append(frame.pieces.bytes) }
    func sentBurst() {}
    func receiverReady() {
      while let first = waiting.first {
        let memory = PiecedMemory(first)
        if receiver?.receive(Frame(pieces: memory.list)) == .noBuffer { break }
        waiting.removeFirst()
      }
      receiver?.receivedBurst()
    }
  }

  private final class Bench {
    let clock = VirtualClock()
    let loop: EventLoop
    let wire = Wire()
    let nic = TestReceiver()
    let counters = Counters(owner: "limit")
    let limited: LimitedBackend

    /// 1000 frames of 100 bytes a second.
    init() throws {
      loop = try EventLoop(name: "test", clock: clock)
      limited = LimitedBackend(wire, bytes: 100_000, loop: loop, counters: counters)
      limited.connect(nic)
    }

    static func frame(_ number: Int) -> [UInt8] {
      [UInt8(number & 0xFF), UInt8(number >> 8)] + [UInt8](repeating: 1, count: 98)
    }

    func send(_ numbers: Range<Int>) {
      for number in numbers {
        let memory = PiecedMemory(Self.frame(number), cuts: [10])
        limited.send(Frame(pieces: memory.list))
      }
      limited.sentBurst()
    }

    func pass(milliseconds: Int) {
      for _ in 0..<milliseconds {
        clock.advance(by: 1_000_000)
        loop.runOnce(timeout: 0)
      }
    }
  }

  @Test("frames over the limit are sent later, whole and in order")
  func sends() throws {
    let bench = try Bench()
    bench.send(0..<300)
    #expect(bench.wire.sent.count == 100)
    bench.pass(milliseconds: 100)
    #expect(bench.wire.sent.count == 200)
    bench.send(300..<310)
    bench.pass(milliseconds: 110)
    #expect(bench.wire.sent == (0..<310).map(Bench.frame))
    #expect(bench.counters[.dropsRateLimit] == 0)
  }

  @Test("no more than 1000 frames wait; those beyond are dropped and counted")
  func bounded() throws {
    let bench = try Bench()
    bench.send(0..<1200)
    #expect(bench.counters[.dropsRateLimit] == 100)
    bench.pass(milliseconds: 2000)
    #expect(bench.wire.sent == (0..<1100).map(Bench.frame))
  }

  @Test("after a pause, frames of many segments pass in several turns of the loop")
  func turns() throws {
    let bench = try Bench()
    bench.send(0..<100)
    let memory = PiecedMemory([UInt8](repeating: 1, count: 2000))
    for _ in 0..<50 {
      // 2001 segments, as the frame says.
      let segmentation = Segmentation(kind: .tcp4, segmentSize: 1, headerLength: 54)
      bench.limited.send(Frame(pieces: memory.list, segmentation: segmentation))
    }
    // The burst, 10 000 bytes, is five of these frames.
    bench.clock.advance(by: 10_000_000_000)
    bench.loop.runOnce(timeout: 0)
    #expect(bench.wire.sent.count == 103)
    bench.pass(milliseconds: 2000)
    #expect(bench.wire.sent.count == 150)
  }

  @Test("frames for the guest stay in the backend until the limit allows them; none is lost")
  func receives() throws {
    let bench = try Bench()
    bench.wire.waiting = (0..<250).map(Bench.frame)
    bench.wire.receiverReady()
    #expect(bench.nic.frames.count == 100)
    bench.pass(milliseconds: 100)
    #expect(bench.nic.frames.count == 200)
    bench.pass(milliseconds: 60)
    #expect(bench.nic.frames == (0..<250).map(Bench.frame))
  }

  @Test("each direction has its own limit")
  func directions() throws {
    let bench = try Bench()
    bench.send(0..<100)
    bench.wire.waiting = (0..<100).map(Bench.frame)
    bench.wire.receiverReady()
    #expect(bench.wire.sent.count == 100 && bench.nic.frames.count == 100)
  }

  @Test("a NIC that has gone sends nothing more")
  func gone() throws {
    let bench = try Bench()
    bench.send(0..<300)
    bench.limited.connect(nil)
    bench.pass(milliseconds: 1000)
    #expect(bench.wire.sent.count == 100)
  }
}
