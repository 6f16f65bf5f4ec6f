import Backends
import Counters
import EventLoop
import Failures
import Foundation
import Testing

@testable import Measurement

@Suite("The host's own rows")
struct HostTests {
  @Test("the CPU work repeats its checksum, changes it with the rounds, and counts all threads")
  func cpu() throws {
    let one = try HostCPU(threads: 1, rounds: 20)
    let first = try one.sample()
    #expect(first.operations == 20 && first.nanoseconds > 0)
    let checksum = one.checksum
    #expect(checksum != 0)
    _ = try one.sample()
    #expect(one.checksum == checksum)
    let two = try HostCPU(threads: 2, rounds: 20)
    #expect(try two.sample().operations == 40)
    #expect(two.checksum == checksum)
    let other = try HostCPU(threads: 1, rounds: 21)
    _ = try other.sample()
    #expect(other.checksum != checksum)
  }

  @Test("a section is found by name, and a damaged file has none")
  func section() {
    #expect(GuestCode.section(".cpu_work", of: [UInt8](repeating: 0xFF, count: 200)) == nil)
    #expect(GuestCode.section(".cpu_work", of: []) == nil)
  }

  @Test("disk operations are verified", arguments: [HostDisk.Operation.write, .read, .randomRead], [1, 8])
  func disk(operation: HostDisk.Operation, depth: Int) throws {
    let loop = try EventLoop()
    loop.start()
    defer { loop.stop() }
    let storage = try MemoryStorage(sectorCount: 2048, counters: Counters(owner: "memory"))
    let disk = try HostDisk(
      storage: storage, loop: loop, operation: operation, block: 4096, depth: depth, span: 1 << 20,
      duration: 10_000_000)
    for _ in 0..<2 {
      let sample = try disk.sample()
      #expect(sample.operations > 0)
      #expect(sample.bytes == sample.operations * 4096)
      #expect(sample.nanoseconds >= 10_000_000)
    }
  }

  @Test("a changed byte on the disk is found with its position")
  func wrongByte() throws {
    let loop = try EventLoop()
    loop.start()
    defer { loop.stop() }
    let storage = try MemoryStorage(sectorCount: 64, counters: Counters(owner: "memory"))
    let disk = try HostDisk(
      storage: storage, loop: loop, operation: .read, block: 4096, depth: 1, span: 32_768, duration: 50_000_000)
    storage.bytes[5 * 4096 + 17] ^= 1
    do {
      _ = try disk.sample()
      Issue.record("the byte was not noticed")
    } catch let failure as Failure {
      #expect(failure.cause == "wrong data at byte 20480")
    }
  }

  @Test("memcpy copies whole frames")
  func copies() throws {
    let sample = try HostCopy(frameBytes: 64_294, duration: 10_000_000).sample()
    #expect(sample.operations > 0)
    #expect(sample.bytes == sample.operations * 64_294)
  }

  @Test("the socketpair carries the whole stream", arguments: [60, 1514, 64_294])
  func loopback(frame: Int) throws {
    let sample = try HostLoopback(frameBytes: frame, duration: 20_000_000).sample()
    #expect(sample.operations > 0)
    #expect(sample.bytes == sample.operations * UInt64(frame))
  }
}
