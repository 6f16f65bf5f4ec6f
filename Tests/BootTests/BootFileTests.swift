import Failures
import Foundation
import GuestMemory
import TestSupport
import Testing

@testable import Boot

@Suite("Files that a guest boots from")
struct BootFileTests {
  private let folder: TemporaryFolder
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.file("kernel")
  }

  private func open(_ bytes: [UInt8]) throws -> BootFile {
    try Data(bytes).write(to: URL(filePath: path))
    return try BootFile(path: path, fix: "Give another.")
  }

  @Test("a kernel loads from a file as from its bytes")
  func kernel() throws {
    let bytes = ELFBytes.make([ELFBytes.code, ELFBytes.noted])
    var entries: [EntryState] = []
    for file in [try open(bytes), BootFile(bytes, name: "k")] {
      let memory = try GuestMemory(size: 4 << 20)
      entries.append(
        try KernelImage(file).load(
          commandLine: "", initialRAMDisk: BootFile([1, 2, 3], name: "i"), processors: 1, into: memory))
      #expect(memory.slice(at: 0x10_0000, count: 4).map { Array($0) } == [0xF4, 0xEB, 0xFD, 0])
    }
    #expect(entries.first == entries.last)
  }

  @Test("a range is clamped to the file")
  func range() throws {
    let file = try open([1, 2, 3, 4])
    #expect(file.count == 4)
    #expect(try file.bytes(1..<3) == [2, 3])
    #expect(try file.bytes(2..<9) == [3, 4])
    #expect(try file.bytes(5..<9) == [])
  }

  @Test("a pipe is read to its end")
  func pipe() async throws {
    #expect(mkfifo(path, 0o600) == 0)
    let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 % 251) }
    let path = path
    let writer = Thread {
      _ = try? FileHandle(forWritingTo: URL(filePath: path)).write(contentsOf: Data(bytes))
    }
    writer.start()
    let file = try BootFile(path: path, fix: "")
    #expect(file.count == bytes.count)
    #expect(try file.bytes(0..<bytes.count) == bytes)
  }

  @Test("a file that became shorter is an error, not zeroes")
  func shorter() throws {
    let file = try open([1, 2, 3, 4])
    truncate(path, 2)
    let expected = Failure("load \(path)", cause: "it became shorter while it was read", fix: "Run it again.")
    #expect(throws: expected) { try file.bytes(0..<4) }
  }
}
