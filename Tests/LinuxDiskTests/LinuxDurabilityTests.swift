import Backends
import Foundation
import TestSupport
import Testing

/// The guest writes file after file. After each `sync` it writes a mark, directly to the disk.
///
/// The host's log of the disk holds every write and flush. The test reconstructs the disk that a loss of power at any
/// point would leave: all that was flushed, and nothing or a random part of the rest. The file system must contain
/// every file that a mark reports as synced.
@Suite("Files that Linux synced survive a loss of power at 200 points", .needsLinux)
struct LinuxDurabilityTests {
  private static let markOffset: UInt64 = 60 << 20

  @Test("ext4 on both drivers", arguments: DiskDriver.allCases)
  func sync(driver: DiskDriver) async throws {
    let run = try await LinuxRuns.shared.run("durability \(driver.model)")
    let guest = run.guest("durability")
    guest.expect("mkfs", "mount")
    #expect(guest.values["rounds"] == "40")
    let log = run.folder.file("disk.log")
    let marks = try Self.marks(log)
    #expect(marks.count == 40)
    let first = try #require(marks.first)
    let total = try StorageLogReader(path: log).countAll()
    let points = (0..<200).map { first + 1 + (total - first - 1) * $0 / 199 }
    let checker = try await FileSystemChecker()
    for (parity, survivors) in [PowerLossSurvivors.none, .random(seed: 7)].enumerated() {
      let chosen = points.indices.filter { $0 % 2 == parity }.map { points[$0] }
      try PowerLossReplay(StorageLogReader(path: log)).images(at: chosen, survivors: survivors) { point, image in
        let image = try checker.write(image)
        let synced = marks.prefix { $0 < point }.count
        for problem in try checker.problems(image, files: synced) {
          Issue.record("\(driver): power lost at entry \(point), \(survivors), \(synced) files synced: \(problem)")
        }
      }
    }
  }

  @Test("the same log with failed flushes loses synced files: the test can fail", arguments: DiskDriver.allCases)
  func control(driver: DiskDriver) async throws {
    let run = try await LinuxRuns.shared.run("durability \(driver.model)")
    let path = run.folder.file("disk-without-flushes.log")
    var log = try Array(Data(contentsOf: URL(filePath: run.folder.file("disk.log"))))
    #expect(Self.failFlushes(&log) >= 40)
    try Data(log).write(to: URL(filePath: path))
    let total = try StorageLogReader(path: path).countAll()
    let checker = try await FileSystemChecker()
    try PowerLossReplay(StorageLogReader(path: path)).images(at: [total], survivors: .none) { _, image in
      let problems = try checker.problems(try checker.write(image), files: 40)
      #expect(problems != [])
    }
  }

  /// Marks every flush as failed with errno 5, like a device that ignores flushes; returns their number.
  private static func failFlushes(_ log: inout [UInt8]) -> Int {
    var count = 0
    var position = 24
    while position + 32 <= log.count {
      let isSubmitted = log[position] == 1
      if !isSubmitted, log[position + 1] == 2 {
        log[position + 4] = 5
        count += 1
      }
      let hasData = isSubmitted && log[position + 1] == 1
      let length = log[position + 24..<position + 32].reversed().reduce(0) { $0 << 8 | Int($1) }
      position += 32 + (hasData ? length : 0)
    }
    return count
  }

  /// The numbers of the log's entries at which the guest submitted a mark, in the order of the marks.
  private static func marks(_ path: String) throws -> [Int] {
    let log = try StorageLogReader(path: path)
    var marks: [Int] = []
    while let entry = try log.next() {
      if entry.kind == .submitted, entry.operation == .write, entry.offset == markOffset { marks.append(log.count - 1) }
    }
    return marks
  }
}

extension StorageLogReader {
  /// The number of entries.
  fileprivate func countAll() throws -> Int {
    while try next() != nil {}
    return count
  }
}

/// The lab's e2fsck and debugfs on an image.
private struct FileSystemChecker {
  private let tools: LinuxTools
  private let folder: TemporaryFolder

  init() async throws {
    tools = try await LinuxTools("tools")
    folder = try TemporaryFolder(isRemovedAtEnd: true)
  }

  func write(_ image: PowerLossImage) throws -> String {
    let path = folder.file("image")
    try image.write(to: path)
    return path
  }

  /// Replays the journal, checks the file system and compares the first `files` files. Returns the problems.
  func problems(_ image: String, files: Int) throws -> [String] {
    // As at boot: replays the journal, and makes only safe repairs.
    let check = try tools.run("e2fsck", ["-p", image])
    guard check.status <= 1 else { return ["e2fsck: status \(check.status): \(check.output)"] }
    let again = try tools.run("e2fsck", ["-f", "-n", image])
    guard again.status == 0 else { return ["e2fsck after the replay: status \(again.status): \(again.output)"] }
    let commands = folder.file("commands")
    let dumps = (1...max(files, 1)).map { "dump /file\($0) \(folder.file("file\($0)"))" }.joined(separator: "\n")
    try Data(dumps.utf8).write(to: URL(filePath: commands))
    _ = try tools.run("debugfs", ["-f", commands, image])
    return (1...max(files, 1)).prefix(files).compactMap { number in
      let path = folder.file("file\(number)")
      defer { try? FileManager.default.removeItem(atPath: path) }
      let line = Array("round \(number)\n".utf8)
      let expected = (0..<number * 700).map { line[$0 % line.count] }
      return FileManager.default.contents(atPath: path).map { Array($0) } == expected ? nil : "file\(number) is lost"
    }
  }
}
