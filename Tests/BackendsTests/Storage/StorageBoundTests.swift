import Backends
import EventLoop
import Glibc
import GuestMemory
import TestSupport
import Testing

@Suite("Disk work runs in turns, and ends with its machine", .timeLimit(.minutes(10)))
struct StorageBoundTests {
  /// A write of 1 MiB at MiB number `index`.
  private func write(_ bench: StorageBench, _ index: Int, _ source: Memory) -> StorageRequest {
    bench.request(.write, at: UInt64(index) << 20, source.list([0..<1 << 20]), tag: index)
  }

  @Test("a turn moves 16 MiB; the rest follows in later turns, behind the loop's other work")
  func turn() throws {
    let file = try TemporaryFile(size: 64 << 20)
    let bench = try StorageBench(file)
    let source = Memory(1 << 20) { _ in 0x77 }
    for index in 0..<64 { bench.storage.submit(write(bench, index, source)) }
    bench.storage.commit()
    #expect(bench.counters[.bounces] == 0)
    func written() -> Int { (0..<64).filter { file.byte(at: $0 << 20) == 0x77 }.count }
    #expect(written() == 16)
    bench.wait(for: 64)
    #expect(bench.client.ends.map(\.result) == Array(repeating: .success, count: 64))
    #expect(written() == 64)
  }

  @Test(
    "a request larger than 4 MiB is split into chunks and completes whole",
    arguments: [.none, .writeback] as [StorageCacheMode])
  func chunks(cache: StorageCacheMode) throws {
    let size = 9 << 20
    let file = try TemporaryFile(size: size)
    let bench = try StorageBench(file, cache)
    let source = Memory(size, fill: pattern)
    let cuts = source.list([0..<5 << 20, 5 << 20..<6 << 20, 6 << 20..<size])
    #expect(bench.run(bench.request(.write, cuts)) == .success)
    let isWhole = file.contents == source.array
    #expect(isWhole)
    let target = Memory(size)
    #expect(bench.run(bench.request(.read, target.list([0..<size]))) == .success)
    let isRead = target.array == source.array
    #expect(isRead)
  }

  @Test("a turn has one long zeroing, of 64 MiB at most")
  func ranges() throws {
    let file = try TemporaryFile(size: 256 << 20)
    for place in 0..<4 { file.store([UInt8](repeating: 0xFF, count: 512), at: place << 26) }
    let bench = try StorageBench(file)
    bench.storage.submit(bench.request(.writeZeroes(unmap: false), length: 256 << 20))
    bench.storage.commit()
    func left() -> Int { (0..<4).filter { file.byte(at: $0 << 26) == 0xFF }.count }
    #expect(left() == 3)
    bench.wait()
    #expect(left() == 0)
    #expect(bench.client.ends.map(\.result) == [.success])
  }

  @Test("drain completes all parts of a long zeroing")
  func drain() throws {
    let file = try TemporaryFile(size: 256 << 20)
    file.store([UInt8](repeating: 0xFF, count: 512), at: 255 << 20)
    let bench = try StorageBench(file)
    bench.storage.submit(bench.request(.writeZeroes(unmap: false), length: 256 << 20))
    bench.storage.drain()
    #expect(bench.client.ends.map(\.result) == [.success])
    #expect(file.byte(at: 255 << 20) == 0)
  }

  @Test("cancel ends requests that the host has not begun, and waits for the rest")
  func cancel() throws {
    let file = try TemporaryFile(size: 64 << 20)
    let bench = try StorageBench(file)
    let source = Memory(1 << 20) { _ in 0x77 }
    for index in 0..<64 { bench.storage.submit(write(bench, index, source)) }
    bench.storage.commit()
    bench.storage.cancel()
    #expect(Set(bench.client.ends.map(\.tag)) == Set(0..<64))
    for (tag, result) in bench.client.ends {
      #expect(result == (tag < 16 ? .success : .failed(ECANCELED)))
      #expect(file.byte(at: tag << 20) == (tag < 16 ? 0x77 : 0))
    }
    #expect(bench.run(bench.request(.flush)) == .success, "a later machine may use it")
  }

  @Test("cancel ends the chunks of a running request that have not begun")
  func cancelInRequest() throws {
    let file = try TemporaryFile(size: 64 << 20)
    let bench = try StorageBench(file)
    let source = Memory(64 << 20) { _ in 0x77 }
    bench.storage.submit(bench.request(.write, source.list([0..<64 << 20])))
    bench.storage.commit()
    bench.storage.cancel()
    #expect(bench.client.ends.map(\.result) == [.failed(ECANCELED)])
    #expect(file.byte(at: 63 << 20) == 0)
  }
}

@Suite("Zeroes are as durable as writes", .timeLimit(.minutes(10)))
struct DurableZeroesTests {
  @Test(
    "durable zeroing ends with an fdsync, even with O_DSYNC, which does not cover fallocate",
    arguments: [
      (.none, true, 1), (.writeback, true, 1), (.writeback, false, 0), (.writethrough, false, 1), (.unsafe, true, 0),
    ] as [(StorageCacheMode, Bool, UInt64)], [true, false])
  func syncs(mode: (cache: StorageCacheMode, isDurable: Bool, syncs: UInt64), unmap: Bool) throws {
    let file = try TemporaryFile(size: 1 << 20)
    let bench = try StorageBench(file, mode.cache)
    let request = bench.request(.writeZeroes(unmap: unmap), length: 1 << 19, isDurable: mode.isDurable)
    #expect(bench.run(request) == .success)
    #expect(bench.counters[.hostSyncs] == mode.syncs)
  }

  @Test("writes with O_DSYNC need no fdsync")
  func writes() throws {
    let file = try TemporaryFile(size: 1 << 20)
    let bench = try StorageBench(file, .writethrough)
    let source = Memory(4096)
    #expect(bench.run(bench.request(.write, source.list([0..<4096]))) == .success)
    withExtendedLifetime(source) {}
    #expect(bench.counters[.hostSyncs] == 0)
  }
}
