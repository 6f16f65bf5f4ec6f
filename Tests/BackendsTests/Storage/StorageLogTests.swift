import Backends
import Counters
import Failures
import Glibc
import GuestMemory
import TestSupport
import Testing

@Suite("Storage logs", .timeLimit(.minutes(10)))
struct StorageLogTests {
  /// A logged disk of 64 sectors in memory.
  private struct Bench {
    let disk: MemoryStorage
    let log: StorageLog
    let client = RecordingClient()
    /// The target of reads; it lives as long as the disk.
    let target = Memory(512)

    init(_ path: String, sectors: UInt64 = 64) throws {
      disk = try MemoryStorage(sectorCount: sectors, counters: Counters(owner: "disk"))
      log = try StorageLog(disk, path: path)
    }

    func submit(
      _ operation: StorageOperation, sector: UInt64 = 0, _ pieces: ScatterList = ScatterList(), sectors: UInt64 = 0,
      durable: Bool = false
    ) {
      let request = StorageRequest()
      request.operation = operation
      request.offset = 512 * sector
      request.pieces = pieces
      request.length = 512 * sectors
      request.isDurable = durable
      request.client = client
      log.submit(request)
    }

    var results: [StorageResult] { client.ends.map(\.result) }
  }

  @Test("the file, byte by byte: a batch is logged before any of it completes, and reads are not logged")
  func format() throws {
    let file = try TemporaryFile(size: 0)
    let bench = try Bench(file.path)
    let memory = Memory(1024, fill: pattern)
    bench.submit(.write, sector: 3, memory.list([0..<100, 200..<612]), durable: true)
    bench.submit(.read, sector: 3, bench.target.list([0..<512]))
    bench.submit(.discard, sector: 5, sectors: 2)
    bench.log.commit()
    bench.submit(.writeZeroes(unmap: true), sector: 63, sectors: 1)
    bench.submit(.flush)
    bench.submit(.write, sector: 64, memory.list([0..<512]))
    bench.log.commit()
    bench.log.drain()
    func little(_ values: [UInt64]) -> [UInt8] { values.flatMap { LogScript.little($0) } }
    func entry(_ fields: [UInt8], _ number: UInt64, _ offset: UInt64 = 0, _ length: UInt64 = 0) -> [UInt8] {
      fields + [0, 0, 0, 0, 0] + little([number, offset, length])
    }
    let data = Array(memory.array[0..<100] + memory.array[200..<612])
    let expected: [[UInt8]] = [
      [0x53, 0x57, 0x44, 0x53, 0x4B, 0x4C, 0x4F, 0x47, 1, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0],
      entry([1, 1, 1], 0, 1536, 512), data, entry([1, 3, 0], 1, 2560, 1024), entry([2, 1, 0], 0), entry([2, 3, 0], 1),
      entry([1, 4, 0], 2, 32256, 512), entry([1, 2, 0], 3), entry([2, 4, 0], 2), entry([2, 2, 0], 3),
    ]
    #expect(file.contents == Array(expected.joined()))
    #expect(bench.results == [.success, .success, .success, .outOfRange, .success, .success])
    #expect(Array(bench.disk.bytes[1536..<2048]) == data)
    #expect(bench.log.failure == nil)
  }

  @Test("a logged disk has a volatile cache, whatever is below it")
  func cache() throws {
    let (image, file) = (try TemporaryFile(size: 4096), try TemporaryFile(size: 0))
    let bench = try StorageBench(image, .writethrough)
    #expect(!bench.storage.hasVolatileCache)
    #expect(try StorageLog(bench.storage, path: file.path).hasVolatileCache)
  }

  @Test("cancel reaches the disk below, and the log records the end of cancelled requests")
  func cancel() throws {
    let (image, file) = (try TemporaryFile(size: 20 << 20), try TemporaryFile(size: 0))
    let bench = try StorageBench(image)
    let log = try StorageLog(bench.storage, path: file.path)
    let source = Memory(1 << 20, fill: pattern)
    for index in 0..<20 {
      log.submit(bench.request(.write, at: UInt64(index) << 20, source.list([0..<1 << 20]), tag: index))
    }
    // A turn of the disk begins 16 MiB.
    log.commit()
    log.cancel()
    let cancelled = bench.client.ends.filter { $0.result == .failed(ECANCELED) }.map(\.tag)
    #expect(Set(cancelled) == [16, 17, 18, 19])
    let reader = try StorageLogReader(path: file.path)
    while try reader.next() != nil {}
    #expect(reader.count == 40 && reader.underWay == 0 && reader.cutOff == 0)
  }

  @Test("a request of a raw file is logged as ended when it completes; drain updates the file")
  func rawFile() throws {
    let (image, file) = (try TemporaryFile(size: 1 << 20), try TemporaryFile(size: 0))
    let bench = try StorageBench(image)
    let log = try StorageLog(bench.storage, path: file.path)
    let source = Memory(64 * 512, fill: pattern)
    for index in 0..<64 {
      log.submit(bench.request(.write, at: UInt64(512 * index), source.list([512 * index..<512 * (index + 1)])))
    }
    log.commit()
    bench.wait(for: 64)
    log.submit(bench.request(.flush))
    log.commit()
    log.drain()
    #expect(bench.client.ends.map(\.result) == Array(repeating: .success, count: 65))
    let reader = try StorageLogReader(path: file.path)
    while try reader.next() != nil {}
    #expect(reader.count == 130 && reader.underWay == 0 && reader.cutOff == 0)
    let copy = try TemporaryFile(size: 0)
    try PowerLossReplay(reader).images(at: [129, 130], survivors: .none) { point, image in
      try image.write(to: copy.path)
      let isWritten = Array(copy.contents[..<(64 * 512)]) == source.array
      #expect(isWritten == (point == 130))
    }
  }

  @Test("a write larger than the buffer is logged whole")
  func large() throws {
    let file = try TemporaryFile(size: 0)
    let bench = try Bench(file.path, sectors: 8192)
    let memory = Memory(3 << 20, fill: pattern)
    bench.submit(.write, memory.list([0..<1, 1..<1_500_000, 1_500_000..<3 << 20]))
    bench.log.commit()
    let isLogged = Array(file.contents[56..<56 + 3 << 20]) == memory.array
    #expect(isLogged)
    bench.log.drain()
    #expect(file.contents.count == 24 + 32 + (3 << 20) + 32)
  }

  @Test("when the log cannot be written, changes and flushes fail without reaching the disk, and reads continue")
  func failing() throws {
    let file = try SealedFile()
    let bench = try Bench(file.path)
    let memory = Memory(512, fill: pattern)
    bench.submit(.write, sector: 1, memory.list([0..<512]))
    bench.log.commit()
    #expect(bench.results == [.success])
    try file.sealWrites()
    bench.submit(.write, sector: 2, memory.list([0..<512]))
    bench.submit(.flush)
    bench.submit(.discard, sector: 1, sectors: 1)
    bench.log.commit()
    bench.submit(.read, sector: 2, bench.target.list([0..<512]))
    bench.log.commit()
    #expect(bench.results[1...] == [.failed(EPERM), .failed(EPERM), .failed(EPERM), .success])
    #expect(bench.disk.bytes[1024..<1536].allSatisfy { $0 == 0 })
    #expect(bench.disk.bytes[512] == pattern(0))
    let failure = try #require(bench.log.failure).description
    #expect(failure.hasPrefix("write the disk log \(file.path): Operation not permitted. The log ends"))
  }

  @Test("a log may replace only an empty file or an old log, and only one run may write it")
  func places() throws {
    let file = try TemporaryFile(size: 0)
    func refusal(_ path: String) -> String {
      do {
        _ = try Bench(path)
        return ""
      } catch { return "\(error)" }
    }
    #expect(refusal(file.path) == "")
    #expect(refusal(file.path) == "", "an old log")
    let holder = try Bench(file.path)
    #expect(refusal(file.path).contains("another run uses it. Name another file with log=."))
    withExtendedLifetime(holder) {}
    let image = try TemporaryFile(size: 512)
    #expect(refusal(image.path).contains("the file exists and is not a disk log. Name a new file with log=."))
    #expect(image.contents.count == 512)
    #expect(refusal("/dev/null").contains("it is not a regular file. Name a new file with log=."))
    #expect(refusal("\(file.path)/log").contains("Not a directory. Name a file in a writable directory."))
  }
}

@Suite("Reading storage logs", .timeLimit(.minutes(10)))
struct StorageLogReaderTests {
  private static var script: LogScript {
    var script = LogScript()
    script.write(sector: 0, count: 2, fill: 1)
    script.flush()
    return script
  }

  private func read(_ bytes: [UInt8]) throws -> (count: Int, cutOff: UInt64) {
    let file = try TemporaryFile(size: 0)
    file.store(bytes)
    let reader = try StorageLogReader(path: file.path)
    while try reader.next() != nil {}
    return (reader.count, reader.cutOff)
  }

  @Test("a truncated log ends before the incomplete entry")
  func cut() throws {
    let bytes = Self.script.bytes
    // Where each entry ends: 32 bytes, and the data of the first.
    let ends = [24, 24 + 32 + 1024, 24 + 64 + 1024, 24 + 96 + 1024, 24 + 128 + 1024]
    #expect(bytes.count == ends[4])
    for count in stride(from: 24, through: bytes.count, by: 4) {
      let whole = ends.lastIndex { $0 <= count } ?? 0
      let result = try read(Array(bytes[..<count]))
      #expect(result.count == whole && result.cutOff == UInt64(count - ends[whole]), "\(count) bytes")
    }
  }

  @Test(
    "the error names the damaged entry and the usable part before it",
    arguments: [
      (0, 3), (1, 0), (1, 5), (2, 2), (4, 1), (8, 1), (16, 1), (17, 0xFF), (23, 0xFF), (24, 1), (31, 0x80),
    ] as [(Int, UInt8)])
  func damaged(offset: Int, value: UInt8) throws {
    var bytes = Self.script.bytes
    bytes[24 + offset] = value
    #expect { try read(bytes) } throws: {
      "\($0)".hasSuffix("entry 1, at byte 24, is damaged. The entries before it can be used: --at 0 or less.")
    }
  }

  @Test("an end without a beginning, a second end, or an end of another kind is refused")
  func ends() throws {
    for (number, operation) in [(0, 2), (1, 1), (7, 1)] as [(UInt64, UInt8)] {
      var script = LogScript()
      script.submit(1, sector: 0, count: 1)
      script.complete(number, operation)
      #expect(throws: Failure.self) { try read(script.bytes) }
    }
    var script = Self.script
    script.complete(0)
    #expect { try read(script.bytes) } throws: { "\($0)".contains("entry 5, at byte") }
  }

  @Test("a file that is not a log, or a log of another version, is refused")
  func headers() throws {
    #expect { try read([]) } throws: { "\($0)".contains("it is not a disk log. Name the file") }
    #expect { try read([UInt8](repeating: 0, count: 512)) } throws: { "\($0)".contains("it is not a disk log") }
    var bytes = Self.script.bytes
    bytes[8] = 2
    #expect { try read(bytes) } throws: { "\($0)".contains("its header has version 2 and 16 sectors. Record") }
    bytes = Self.script.bytes
    bytes[23] = 0x80
    #expect { try read(bytes) } throws: { "\($0)".contains("Record it again") }
  }

  @Test("random changes to bytes never trap, and entries stay within the disk")
  func noise() throws {
    var random = RandomNumbers(seed: 11)
    var script = LogScript()
    for index in 0..<20 {
      script.write(sector: UInt64(index) % 14, count: 2, fill: UInt8(index), durable: index % 3 == 0)
      script.flush()
    }
    let copy = try TemporaryFile(size: 0)
    var refused = 0
    for _ in 0..<200 {
      var bytes = script.bytes
      for _ in 0..<4 { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
      let file = try TemporaryFile(size: 0)
      file.store(bytes)
      do {
        let reader = try StorageLogReader(path: file.path)
        while let entry = try reader.next() { #expect(entry.offset + entry.length <= 16 * 512) }
        try PowerLossReplay(reader).images(at: [reader.count], survivors: .all) { try $1.write(to: copy.path) }
      } catch is Failure {
        refused += 1
      }
    }
    #expect(refused > 0 && refused < 200)
  }
}
