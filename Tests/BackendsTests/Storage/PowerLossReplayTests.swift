import Backends
import EventLoop
import Failures
import TestSupport
import Testing

@Suite("The medium after a loss of power")
struct PowerLossReplayTests {
  /// The first byte of each sector, at each of `points`.
  private func media(
    _ script: LogScript, at points: [Int], _ survivors: PowerLossSurvivors = .none, base: String? = nil
  ) throws -> [[UInt8]] {
    let file = try script.file()
    let folder = try TemporaryFolder()
    var media: [[UInt8]] = []
    try PowerLossReplay(StorageLogReader(path: file.path), base: base).images(at: points, survivors: survivors) {
      point, image in
      try image.write(to: folder.file("image"))
      let bytes = try folder.read("image", count: 1 << 20)
      media.append(stride(from: 0, to: bytes.count, by: 512).map { bytes[$0] })
      let isUniform = bytes.indices.allSatisfy { bytes[$0] == bytes[$0 / 512 * 512] }
      #expect(isUniform, "a sector is torn at \(point)")
    }
    return media
  }

  @Test("VIRTIO 1.2, 5.2.6.2: a flush makes durable the changes that had completed when it was submitted")
  func flush() throws {
    var script = LogScript(sectors: 4)
    script.write(sector: 0, fill: 1)
    let late = script.submit(1, sector: 1, count: 1, fill: 2)
    let flush = script.submit(2)
    script.complete(late)
    script.complete(flush, 2)
    let points = Array(0...script.entries)
    let none = try media(script, at: points)
    #expect(none == Array(repeating: [0, 0, 0, 0], count: 6) + [[1, 0, 0, 0]])
    let all = try media(script, at: points, .all)
    #expect(all == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]] + Array(repeating: [1, 2, 0, 0], count: 4))
  }

  @Test("a failed flush makes nothing durable, and a failed write is never certain")
  func failures() throws {
    var script = LogScript(sectors: 2)
    script.write(sector: 0, fill: 1)
    script.complete(script.submit(2), 2, errno: 5)
    #expect(try media(script, at: [script.entries]) == [[0, 0]])
    script.complete(script.submit(1, sector: 1, count: 1, fill: 2), errno: 28)
    script.flush()
    #expect(try media(script, at: [script.entries]) == [[1, 0]])
    #expect(try media(script, at: [script.entries], .all) == [[1, 2]])
  }

  @Test("a durable write (FUA) is on the medium once it has completed, and old data does not come back")
  func durable() throws {
    var script = LogScript(sectors: 4)
    script.write(sector: 0, count: 4, fill: 1)
    let write = script.submit(1, sector: 1, count: 2, fill: 2, durable: true)
    #expect(try media(script, at: [3]) == [[0, 0, 0, 0]])
    script.complete(write)
    #expect(try media(script, at: [4]) == [[0, 2, 2, 0]])
    #expect(try media(script, at: [4], .all) == [[1, 2, 2, 1]])
    script.flush()
    #expect(try media(script, at: [6]) == [[1, 2, 2, 1]])
  }

  @Test("discarded and zeroed ranges are zeroes after a flush", arguments: [3, 4] as [UInt8])
  func zeroes(operation: UInt8) throws {
    var script = LogScript(sectors: 4)
    script.write(sector: 0, count: 4, fill: 9)
    script.flush()
    script.complete(script.submit(operation, sector: 1, count: 2), operation)
    #expect(try media(script, at: [6]) == [[9, 9, 9, 9]])
    #expect(try media(script, at: [6], .all) == [[9, 0, 0, 9]])
    script.flush()
    #expect(try media(script, at: [8]) == [[9, 0, 0, 9]])
  }

  @Test("a seed selects the sectors that survive, even within a write, and repeats its choice")
  func random() throws {
    var script = LogScript(sectors: 8)
    script.write(sector: 0, count: 8, fill: 1)
    script.write(sector: 0, count: 8, fill: 2)
    var seen: Set<[UInt8]> = []
    for seed in 0..<64 as Range<UInt64> {
      let once = try media(script, at: [4], .random(seed: seed))[0]
      #expect(try media(script, at: [4], .random(seed: seed))[0] == once)
      seen.insert(once)
    }
    #expect(seen.count > 32)
    for sector in 0..<8 { #expect(Set(seen.map { $0[sector] }) == [0, 1, 2], "sector \(sector)") }
  }

  @Test("the replay starts from the base image; an image of another size is refused")
  func base() throws {
    var script = LogScript(sectors: 4)
    script.write(sector: 2, fill: 5)
    script.flush()
    let base = try TemporaryFile(size: 2048)
    base.store([UInt8](repeating: 7, count: 1536))
    #expect(try media(script, at: [0, 4], base: base.path) == [[7, 7, 7, 0], [7, 7, 5, 0]])
    let small = try TemporaryFile(size: 1024)
    #expect {
      try media(script, at: [0], base: small.path)
    } throws: {
      "\($0)".contains("it has 2 sectors, the log's 4. Use --base with the image as it was before the run")
    }
  }

  @Test("a point beyond the log's end or the log as output is refused, and the log is unchanged")
  func refusals() throws {
    var script = LogScript()
    script.write(sector: 0, fill: 1)
    let file = try script.file()
    let replay = try PowerLossReplay(StorageLogReader(path: file.path))
    #expect {
      try replay.images(at: [3], survivors: .none) { _, _ in }
    } throws: {
      "\($0)".contains("it has 2 entries. Use --at 2 or less.")
    }
    #expect {
      try replay.images(at: [2], survivors: .none) { _, image in try image.write(to: file.path) }
    } throws: {
      "\($0)" == "write the disk \(file.path): the replay reads from it. Name another file."
    }
    #expect(file.contents == script.bytes)
  }

  @Test("an image that a machine uses is refused as output and as base, and is unchanged")
  func imageInUse() throws {
    var script = LogScript(sectors: 4)
    script.write(sector: 0, fill: 1)
    let file = try script.file()
    let image = try TemporaryFile(size: 2048)
    image.store([UInt8](repeating: 7, count: 2048))
    let loop = try EventLoop(name: "test")
    let disk = try FileStorage(path: image.path, loop: loop, counters: loop.counters)
    #expect {
      try PowerLossReplay(StorageLogReader(path: file.path)).images(at: [2], survivors: .all) { _, written in
        try written.write(to: image.path)
      }
    } throws: {
      "\($0)".contains("another process uses it")
    }
    #expect {
      try media(script, at: [2], base: image.path)
    } throws: {
      "\($0)".contains("another process uses it")
    }
    #expect(image.contents == [UInt8](repeating: 7, count: 2048))
    disk.close()
  }

  @Test("200 points in a log of 600 random entries match a model of single sectors", arguments: 1...4)
  func model(seed: Int) throws {
    var random = RandomNumbers(seed: UInt64(seed))
    var script = LogScript(sectors: 24)
    var model = SectorModel(sectors: 24)
    var expected: [(none: [UInt8], all: [UInt8])] = [model.media]
    var underWay: [(number: UInt64, operation: UInt8)] = []
    while script.entries < 600 {
      if underWay.count > 6 || (!underWay.isEmpty && random.next() % 2 == 0) {
        let (number, operation) = underWay.remove(at: Int(random.next() % UInt64(underWay.count)))
        let code: UInt8 = random.next() % 16 == 0 ? 5 : 0
        script.complete(number, operation, errno: code)
        model.complete(number, isFlush: operation == 2, succeeds: code == 0)
      } else {
        let operation = [1, 1, 1, 1, 1, 2, 3, 4][Int(random.next() % 8)] as UInt8
        let sector = random.next() % 24
        let count = operation == 2 ? 0 : min(24 - sector, 1 + random.next() % 6)
        let fill = operation == 1 ? UInt8(1 + random.next() % 255) : 0
        let durable = operation != 2 && random.next() % 8 == 0
        let number = script.submit(
          operation, sector: operation == 2 ? 0 : sector, count: count, fill: fill, durable: durable)
        underWay.append((number, operation))
        model.submit(number, isFlush: operation == 2, Int(sector)..<Int(sector + count), fill, durable)
      }
      expected.append(model.media)
    }
    let points = stride(from: 0, to: 600, by: 3).map { $0 }
    #expect(try media(script, at: points) == points.map { expected[$0].none })
    #expect(try media(script, at: points, .all) == points.map { expected[$0].all })
  }
}

/// A model of each sector: its durable content, and the later changes in the order of submission.
private struct SectorModel {
  private struct Change {
    var number: UInt64
    var fill: UInt8
  }
  private var durable: [UInt8]
  private var changes: [[Change]]
  private var isFUA: Set<UInt64> = []
  private var ended: Set<UInt64> = []
  /// The changes that had completed when a flush was submitted.
  private var covered: [UInt64: Set<UInt64>] = [:]

  init(sectors: Int) {
    durable = Array(repeating: 0, count: sectors)
    changes = Array(repeating: [], count: sectors)
  }

  mutating func submit(_ number: UInt64, isFlush: Bool, _ sectors: Range<Int>, _ fill: UInt8, _ durable: Bool) {
    if isFlush { covered[number] = ended }
    if durable { isFUA.insert(number) }
    for sector in sectors { changes[sector].append(Change(number: number, fill: fill)) }
  }

  mutating func complete(_ number: UInt64, isFlush: Bool, succeeds: Bool) {
    guard succeeds else { return }
    if !isFlush { ended.insert(number) }
    let certain = isFlush ? covered[number] ?? [] : isFUA.contains(number) ? [number] : []
    for sector in changes.indices {
      guard let last = changes[sector].lastIndex(where: { certain.contains($0.number) }) else { continue }
      durable[sector] = changes[sector][last].fill
      changes[sector].removeFirst(last + 1)
    }
  }

  var media: (none: [UInt8], all: [UInt8]) {
    (durable, durable.indices.map { changes[$0].last?.fill ?? durable[$0] })
  }
}
