import Backends
import Counters
import EventLoop
import Glibc
import GuestMemory
import Testing

@Suite("A disk with limits")
struct LimitedStorageTests {
  private final class Bench {
    let clock = VirtualClock()
    let loop: EventLoop
    let client = RecordingClient()
    let disk: LimitedStorage
    private let memory = PiecedMemory([UInt8](repeating: 7, count: 4096))

    init(operations: UInt64? = nil, bytes: UInt64? = nil) throws {
      loop = try EventLoop(name: "test", clock: clock)
      disk = LimitedStorage(
        try MemoryStorage(sectorCount: 1024, counters: Counters(owner: "disk")), operations: operations, bytes: bytes,
        loop: loop)
    }

    func submit(_ count: Int, _ operation: StorageOperation = .write) {
      for tag in 0..<count {
        let request = StorageRequest()
        request.operation = operation
        if operation != .flush { request.pieces = memory.list }
        request.tag = tag
        request.client = client
        disk.submit(request)
      }
      disk.commit()
    }

    /// Moves the clock in steps of a millisecond.
    func pass(milliseconds: Int) {
      for _ in 0..<milliseconds {
        clock.advance(by: 1_000_000)
        loop.runOnce(timeout: 0)
      }
    }
  }

  @Test("iops=: a tenth of a second's requests begin at once, the rest at the rate and in order")
  func operations() throws {
    let bench = try Bench(operations: 100)
    bench.submit(50)
    #expect(bench.client.ends.count == 10)
    bench.pass(milliseconds: 200)
    #expect(bench.client.ends.count == 30)
    bench.pass(milliseconds: 200)
    #expect(bench.client.ends.map(\.tag) == Array(0..<50))
    #expect(bench.client.ends.allSatisfy { $0.result == .success })
  }

  @Test("bandwidth=: bytes count, and a flush has none")
  func bytes() throws {
    let bench = try Bench(bytes: 4096 * 100)
    bench.submit(30)
    #expect(bench.client.ends.count == 10)
    bench.pass(milliseconds: 100)
    #expect(bench.client.ends.count == 20)
    bench.pass(milliseconds: 200)
    bench.submit(1000, .flush)
    #expect(bench.client.ends.count == 1030)
  }

  @Test("a request beyond the disk counts as a request, is refused, and holds nobody up")
  func refused() throws {
    let bench = try Bench(operations: 10, bytes: 1)
    let request = StorageRequest()
    request.offset = .max - 511
    request.operation = .discard
    request.length = .max
    request.client = bench.client
    bench.disk.submit(request)
    #expect(bench.client.ends.map(\.result) == [.outOfRange])
  }

  @Test("drain ends all requests, and what follows pays for them")
  func drain() throws {
    let bench = try Bench(operations: 100)
    bench.submit(50)
    bench.disk.drain()
    #expect(bench.client.ends.count == 50)
    bench.submit(1)
    bench.pass(milliseconds: 399)
    #expect(bench.client.ends.count == 50)
    bench.pass(milliseconds: 2)
    #expect(bench.client.ends.count == 51)
  }

  @Test("cancel ends requests that have not begun with ECANCELED")
  func cancel() throws {
    let bench = try Bench(operations: 100)
    bench.submit(15)
    bench.disk.cancel()
    #expect(bench.client.ends.suffix(5).map(\.result) == Array(repeating: .failed(ECANCELED), count: 5))
    bench.pass(milliseconds: 1000)
    #expect(bench.client.ends.count == 15)
  }
}
