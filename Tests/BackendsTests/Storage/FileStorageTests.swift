import Backends
import EventLoop
import Failures
import Glibc
import GuestMemory
import TestSupport
import Testing
import Threads

@Suite("Raw files through Linux AIO", .timeLimit(.minutes(10)))
struct FileStorageTests {
  @Test("written data is in the file and reads back", arguments: StorageCacheMode.allCases)
  func roundTrip(cache: StorageCacheMode) throws {
    let file = try TemporaryFile(size: 1 << 20)
    let bench = try StorageBench(file, cache)
    #expect(bench.storage.sectorCount == 2048)
    #expect(bench.storage.kind == "file")
    #expect(bench.storage.hasVolatileCache == (cache != .writethrough))
    let source = Memory(16384, fill: pattern)
    // Two aligned pieces that are not adjacent.
    let written = bench.run(bench.request(.write, at: 8192, source.list([0..<4096, 8192..<16384])))
    #expect(written == .success)
    #expect(bench.run(bench.request(.flush)) == .success)
    #expect(Array(file.contents[8192..<12288]) == Array(source.array[0..<4096]))
    #expect(Array(file.contents[12288..<20480]) == Array(source.array[8192...]))
    #expect(file.contents[20480...].allSatisfy { $0 == 0 })
    let target = Memory(12288)
    #expect(bench.run(bench.request(.read, at: 8192, target.list([0..<12288]))) == .success)
    #expect(target.array == Array(source.array[0..<4096] + source.array[8192...]))
    #expect(bench.counters[.bounces] == 0)
    #expect(bench.counters[.bytesCopied] == 0)
    bench.storage.close()
  }

  @Test("pieces that O_DIRECT refuses go through a bounce buffer in chunks of 1 MiB")
  func bounces() throws {
    let size = 3 << 20
    let file = try TemporaryFile(size: size)
    let bench = try StorageBench(file, .none)
    let source = Memory(size + 1, fill: pattern)
    let cuts = source.list([1..<103, 103..<2_000_000, 2_000_000..<(size + 1)])
    #expect(bench.run(bench.request(.write, at: 0, cuts)) == .success)
    // Compared outside the macro, which would otherwise print 3 MiB.
    let isWritten = file.contents == Array(source.array[1...])
    #expect(isWritten)
    let target = Memory(size + 8)
    #expect(bench.run(bench.request(.read, at: 0, target.list([6..<(size + 6)]))) == .success)
    let isRead = Array(target.array[6..<(size + 6)]) == Array(source.array[1...])
    #expect(isRead)
    #expect(bench.counters[.bounces] == 2)
    #expect(bench.counters[.bytesCopied] == UInt64(2 * size))
  }

  @Test("the page cache accepts unaligned pieces, but at most 1024", arguments: [1024, 1025, 8192])
  func manyPieces(count: Int) throws {
    let file = try TemporaryFile(size: 1 << 20)
    let bench = try StorageBench(file)
    // Pieces of 16 bytes with a gap of 16, so that they do not merge.
    let source = Memory(32 * 8192 + 512, fill: pattern)
    var list = source.list((0..<count).map { 32 * $0..<32 * $0 + 16 })
    // The last piece rounds the size up to whole sectors.
    let odd = list.count % 512
    if odd > 0 { list.append(source.piece(32 * count..<32 * count + 512 - odd)) }
    let isBounced = list.pieces.count > 1024
    #expect(bench.run(bench.request(.write, at: 512, list)) == .success)
    var expected = [UInt8](repeating: 0, count: list.count)
    expected.withUnsafeMutableBytes { _ = list.copyOut(into: $0) }
    #expect(Array(file.contents[512..<512 + list.count]) == expected)
    #expect(bench.counters[.bounces] == (isBounced ? 1 : 0))
  }

  @Test("more requests than slots wait, and all complete", arguments: [StorageCacheMode.none, .writeback])
  func manyRequests(cache: StorageCacheMode) throws {
    let file = try TemporaryFile(size: 1000 * 4096)
    let bench = try StorageBench(file, cache)
    let source = Memory(1000 * 4096, fill: pattern)
    let requests = (0..<1000).map { index in
      bench.request(
        .write, at: UInt64(4096 * index), source.list([4096 * index..<4096 * (index + 1)]), tag: index)
    }
    for request in requests { bench.storage.submit(request) }
    bench.storage.commit()
    bench.wait(for: 1000)
    #expect(Set(bench.client.ends.map(\.tag)) == Set(0..<1000))
    #expect(bench.client.ends.allSatisfy { $0.result == .success })
    let isWritten = file.contents == source.array
    #expect(isWritten)
  }

  @Test("misaligned requests beyond the bounce buffers wait for them")
  func manyBounces() throws {
    let file = try TemporaryFile(size: 64 * 512)
    let bench = try StorageBench(file, .none)
    let source = Memory(64 * 512 + 1, fill: pattern)
    let requests = (0..<64).map { index in
      bench.request(.write, at: UInt64(512 * index), source.list([512 * index + 1..<512 * (index + 1) + 1]), tag: index)
    }
    for request in requests { bench.storage.submit(request) }
    bench.storage.commit()
    bench.wait(for: 64)
    #expect(file.contents == Array(source.array[1...]))
    #expect(bench.counters[.bounces] == 64)
  }

  @Test("the queue is bounded: a request beyond the limit fails at once")
  func queueLimit() throws {
    let file = try TemporaryFile(size: 4096)
    let bench = try StorageBench(file)
    let target = Memory(512)
    let requests = (0..<4100).map { bench.request(.read, target.list([0..<512]), tag: $0) }
    for request in requests { bench.storage.submit(request) }
    #expect(bench.client.ends.map(\.tag) == [4096, 4097, 4098, 4099])
    #expect(bench.client.ends.allSatisfy { $0.result == .failed(EBUSY) })
    bench.storage.commit()
    bench.wait(for: 4100)
    #expect(bench.client.ends.count == 4100)
  }

  @Test("a client may submit and commit from a completion")
  func reentrant() throws {
    let file = try TemporaryFile(size: 1 << 20)
    let bench = try StorageBench(file)
    let target = Memory(512)
    var left = 300
    let request = bench.request(.read, target.list([0..<512]))
    bench.client.next = {
      left -= 1
      guard left > 0 else { return }
      bench.storage.submit(request)
      bench.storage.commit()
    }
    bench.storage.submit(request)
    bench.storage.commit()
    bench.wait(for: 300)
    #expect(bench.client.ends.count == 300)
  }

  @Test("a chain of requests that complete at once does not recurse")
  func chain() throws {
    let file = try TemporaryFile(size: 4096)
    let bench = try StorageBench(file)
    var left = 50_000
    let request = bench.request(.discard, length: 512)
    bench.client.next = {
      left -= 1
      guard left > 0 else { return }
      bench.storage.submit(request)
      bench.storage.commit()
    }
    #expect(bench.run(request) == nil, "more than one completed")
    bench.wait(for: 50_000)
    #expect(bench.client.ends.count == 50_000)
  }

  @Test("a durable write succeeds in every mode", arguments: StorageCacheMode.allCases)
  func durable(cache: StorageCacheMode) throws {
    let file = try TemporaryFile(size: 1 << 20)
    let bench = try StorageBench(file, cache)
    let source = Memory(512, fill: pattern)
    #expect(bench.run(bench.request(.write, at: 512, source.list([0..<512]), isDurable: true)) == .success)
    #expect(Array(file.contents[512..<1024]) == source.array)
  }

  @Test("unsafe ignores flushes: they complete before submit returns")
  func unsafeFlush() throws {
    let file = try TemporaryFile(size: 4096)
    let bench = try StorageBench(file, .unsafe)
    bench.storage.submit(bench.request(.flush))
    #expect(bench.client.ends.map(\.result) == [.success])
  }

  @Test(
    "discarded and zeroed ranges read as zeroes, and their surroundings are unchanged",
    arguments: [.discard, .writeZeroes(unmap: false), .writeZeroes(unmap: true)] as [StorageOperation])
  func zeroes(operation: StorageOperation) throws {
    let file = try TemporaryFile(size: 3 << 20)
    file.store((0..<3 << 20).map(pattern))
    let bench = try StorageBench(file)
    #expect(bench.run(bench.request(operation, at: 4096, length: 2 << 20, isDurable: true)) == .success)
    let contents = file.contents
    #expect(contents.count == 3 << 20)
    #expect(contents[4096..<4096 + 2 << 20].allSatisfy { $0 == 0 } || operation == .discard)
    #expect(Array(contents[..<4096]) == (0..<4096).map(pattern))
    #expect(contents[4096 + (2 << 20)] == pattern(4096 + (2 << 20)))
  }

  @Test("requests outside the disk, or to a read-only one, are refused")
  func refusals() throws {
    let file = try TemporaryFile(size: 4096)
    let memory = Memory(1024)
    do {
      let bench = try StorageBench(file)
      #expect(bench.run(bench.request(.read, at: 3584, memory.list([0..<1024]))) == .outOfRange)
      #expect(bench.run(bench.request(.read, at: 100, memory.list([0..<512]))) == .outOfRange)
      #expect(bench.run(bench.request(.read, at: 0, memory.list([0..<100]))) == .outOfRange)
      #expect(bench.run(bench.request(.read, at: .max - 511, memory.list([0..<512]))) == .outOfRange)
    }
    let bench = try StorageBench(file, isReadOnly: true)
    #expect(bench.storage.isReadOnly && !bench.storage.supportsDiscard)
    #expect(bench.run(bench.request(.write, memory.list([0..<512]))) == .readOnly)
    #expect(bench.run(bench.request(.read, memory.list([0..<512]))) == .success)
    #expect(bench.run(bench.request(.flush)) == .success)
  }

  @Test("a read from a truncated file fails with EIO")
  func shrank() throws {
    let file = try TemporaryFile(size: 8192)
    let bench = try StorageBench(file)
    truncate(file.path, 4096)
    let memory = Memory(8192)
    #expect(bench.run(bench.request(.read, memory.list([0..<8192]))) == .failed(EIO))
  }

  @Test("close waits for submitted requests, and later ones fail")
  func close() throws {
    let file = try TemporaryFile(size: 1 << 20)
    let bench = try StorageBench(file, .none)
    let source = Memory(1 << 20, fill: pattern)
    for index in 0..<256 {
      let range = 4096 * index..<4096 * (index + 1)
      bench.storage.submit(bench.request(.write, at: UInt64(4096 * index), source.list([range])))
    }
    bench.storage.close()
    #expect(bench.client.ends.map(\.result) == Array(repeating: .success, count: 256))
    let isWritten = file.contents == source.array
    #expect(isWritten)
    let request = bench.request(.flush)
    bench.storage.submit(request)
    #expect(bench.client.ends.last?.result == .failed(EBADF))
  }

  @Test("works on a loop with its own thread")
  func threaded() throws {
    let file = try TemporaryFile(size: 1 << 20)
    let bench = try StorageBench(file, .none)
    let source = Memory(4096, fill: pattern)
    let request = bench.request(.write, source.list([0..<4096]))
    let ended = Latch()
    bench.client.next = { ended.open() }
    bench.loop.start()
    let storage = bench.storage
    bench.loop.post {
      storage.submit(request)
      storage.commit()
    }
    #expect(ended.wait(nanoseconds: 10_000_000_000))
    storage.close()
    bench.loop.stop()
    #expect(Array(file.contents[..<4096]) == source.array)
  }
}

@Suite("Errors of opening a disk name the fix")
struct FileStorageOpenTests {
  private func failure(
    _ path: String, _ cache: StorageCacheMode = .writeback, isReadOnly: Bool = false
  ) throws -> String {
    let loop = try EventLoop(name: "test")
    do throws(Failure) {
      _ = try FileStorage(
        path: path, cache: cache, isReadOnly: isReadOnly, loop: loop, counters: loop.counters)
      return ""
    } catch {
      return error.description
    }
  }

  @Test func missing() throws {
    let path = "/tmp/swiftlet-no-such-disk"
    #expect(try failure(path) == "open disk \(path): there is no such file. Create one: truncate -s 1G \(path)")
  }

  @Test func directory() throws {
    #expect(try failure("/tmp") == "open disk /tmp: it is a directory. Name a raw image or a block device.")
  }

  @Test func device() throws {
    #expect(try failure("/dev/null").contains("neither a file nor a block device"))
  }

  @Test func oddSize() throws {
    let file = try TemporaryFile(size: 1000)
    let text = try failure(file.path)
    #expect(text.contains("its size, 1000 bytes, is not a multiple of 512. Round it up: truncate -s 1024 /tmp"))
  }

  @Test func empty() throws {
    let file = try TemporaryFile(size: 0)
    #expect(try failure(file.path).contains("it is empty. Give it a size: truncate -s 1G"))
  }

  @Test("a locked disk is refused; readers share it; close unlocks it")
  func locked() throws {
    let file = try TemporaryFile(size: 4096)
    let first = try StorageBench(file)
    #expect(try failure(file.path).contains("another process uses it. Stop it (fuser \(file.path) shows which)"))
    #expect(try failure(file.path, isReadOnly: true).contains("another process uses it"))
    first.storage.close()
    let reader = try StorageBench(file, isReadOnly: true)
    #expect(try failure(file.path, isReadOnly: true) == "")
    #expect(try failure(file.path).contains("another process uses it"))
    reader.storage.close()
    #expect(try failure(file.path) == "")
  }

  @Test(.enabled(if: geteuid() != 0, "root may open anything"))
  func forbidden() throws {
    let file = try TemporaryFile(size: 4096)
    chmod(file.path, 0)
    #expect(try failure(file.path).contains("Permission denied. Allow it: chmod u+rw \(file.path)"))
  }

  @Test("procfs has no O_DIRECT: the fix is the page cache")
  func noDirect() throws {
    #expect(
      try failure("/proc/version", .none, isReadOnly: true)
        == "open disk /proc/version: its file system does not support O_DIRECT. Use cache=writeback.")
  }
}
