import Backends
import Counters
import EventLoop
import Failures
import GuestMemory
import TestSupport

/// A client that records the completions of its requests in order, and may submit more from there.
final class RecordingClient: StorageClient, @unchecked Sendable {
  var ends: [(tag: Int, result: StorageResult)] = []
  var next: (() -> Void)?
  func completed(_ request: StorageRequest, _ result: StorageResult) {
    ends.append((request.tag, result))
    next?()
  }
}

/// A file storage on a loop that the test runs.
final class StorageBench {
  let loop: EventLoop
  let counters = Counters(owner: "storage")
  let client = RecordingClient()
  let storage: FileStorage

  convenience init(_ file: TemporaryFile, _ cache: StorageCacheMode = .writeback, isReadOnly: Bool = false) throws {
    try self.init(path: file.path, cache, isReadOnly: isReadOnly)
  }

  init(path: String, _ cache: StorageCacheMode, isReadOnly: Bool = false) throws {
    loop = try EventLoop(name: "test")
    storage = try FileStorage(path: path, cache: cache, isReadOnly: isReadOnly, loop: loop, counters: counters)
  }

  func request(
    _ operation: StorageOperation, at offset: UInt64 = 0, _ pieces: ScatterList = ScatterList(), length: UInt64 = 0,
    tag: Int = 0, isDurable: Bool = false
  ) -> StorageRequest {
    let request = StorageRequest()
    request.operation = operation
    request.offset = offset
    request.pieces = pieces
    request.length = length
    request.tag = tag
    request.isDurable = isDurable
    request.client = client
    return request
  }

  /// Runs the loop until `count` requests have completed, for at most 10 s.
  func wait(for count: Int = 1) {
    let deadline = loop.clock.now + 10_000_000_000
    while client.ends.count < count, loop.clock.now < deadline { loop.runOnce(timeout: 100_000_000) }
  }

  /// Submits one request and waits for its completion.
  func run(_ request: StorageRequest) -> StorageResult? {
    let before = client.ends.count
    storage.submit(request)
    storage.commit()
    wait(for: before + 1)
    return client.ends.count == before + 1 ? client.ends[before].result : nil
  }
}

/// Memory as a guest has it: split into pieces at any place.
final class Memory {
  let bytes: UnsafeMutableRawBufferPointer

  init(_ count: Int, fill: (Int) -> UInt8 = { _ in 0 }) {
    bytes = .allocate(byteCount: count, alignment: 4096)
    for index in 0..<count { bytes[index] = fill(index) }
  }

  deinit { bytes.deallocate() }

  var array: [UInt8] { Array(bytes) }

  func piece(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: bytes[range])
  }

  func list(_ ranges: [Range<Int>]) -> ScatterList {
    var list = ScatterList()
    for range in ranges { list.append(piece(range)) }
    return list
  }
}

/// A byte that depends on its position.
func pattern(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: index &* 7 &+ index >> 9 &* 13 &+ 1) }
