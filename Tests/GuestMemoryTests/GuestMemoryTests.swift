import Failures
import Foundation
import GuestMemory
import Testing

@Suite("Guest memory")
struct GuestMemoryTests {
  @Test("a slice is entirely RAM, or nil")
  func slices() throws {
    let memory = try GuestMemory(size: 1 << 20)
    #expect(memory.slice(at: 0, count: 1 << 20)?.count == 1 << 20)
    #expect(memory.slice(at: 0xF_FFFF, count: 1) != nil)
    #expect(memory.slice(at: 0xF_FFFF, count: 2) == nil)
    #expect(memory.slice(at: 0x10_0000, count: 1) == nil)
    #expect(memory.slice(at: 0, count: 0) == nil)
    #expect(memory.slice(at: 0, count: -1) == nil)
    #expect(memory.slice(at: 1, count: .max) == nil)
    #expect(memory.slice(at: .max, count: 1) == nil)
    #expect(memory.slice(at: .max - 7, count: 16) == nil)
    #expect(memory.slice(at: 0xC000_0000, count: 1) == nil)
    #expect(memory.slice(at: 0x1_0000_0000, count: 1) == nil)
  }

  @Test("RAM beyond 3 GiB is at 4 GiB, and no slice crosses the hole")
  func hole() throws {
    let memory = try GuestMemory(size: 0xC000_0000 + 0x20_0000)
    #expect(memory.regions.map(\.guestAddress) == [0, 0x1_0000_0000])
    #expect(memory.regions.map(\.count) == [0xC000_0000, 0x20_0000])
    #expect(memory.slice(at: 0xBFFF_FFFF, count: 1) != nil)
    #expect(memory.slice(at: 0xBFFF_FFFF, count: 2) == nil)
    #expect(memory.slice(at: 0xC000_0000, count: 1) == nil)
    #expect(memory.slice(at: 0xFFFF_FFFF, count: 2) == nil)
    #expect(memory.slice(at: 0x1_001F_FFFF, count: 1) != nil)
    #expect(memory.slice(at: 0x1_001F_FFFF, count: 2) == nil)
    #expect(memory.slice(at: 0x1_0020_0000, count: 1) == nil)
    memory.store(UInt32(0x1234_5678), at: 0x1_0000_0000)
    #expect(memory.load(UInt32.self, at: 0x1_0000_0000) == 0x1234_5678)
    #expect(memory.load(UInt32.self, at: 0) == 0)
  }

  @Test("values are little-endian at any alignment, and a store is never partial")
  func values() throws {
    let memory = try GuestMemory(size: 4096)
    #expect(memory.store(UInt32(0x0403_0201), at: 1))
    #expect(memory.load(UInt8.self, at: 1) == 1)
    #expect(memory.load(UInt16.self, at: 3) == 0x0403)
    #expect(!memory.store(UInt32.max, at: 4093))
    #expect(memory.load(UInt8.self, at: 4095) == 0)
    #expect(memory.load(UInt64.self, at: 4089) == nil)
    #expect([1, 2, 3].withUnsafeBytes { memory.write($0, at: 4094) } == false)
    #expect(memory.load(UInt16.self, at: 4094) == 0)
    #expect([UInt8]().withUnsafeBytes { memory.write($0, at: .max) })
  }

  @Test("a core dump of the VMM excludes guest memory (proc(5), VmFlags: dd)")
  func notDumped() throws {
    let memory = try GuestMemory(size: 8 << 20)
    let address = UInt(bitPattern: memory.regions[0].host)
    let smaps = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/smaps")).readToEnd() ?? Data()
    let maps = String(decoding: smaps, as: UTF8.self)
    var isInside = false
    var flags: [Substring] = []
    for line in maps.split(separator: "\n") {
      let ends = line.prefix { $0 != " " }.split(separator: "-").map { UInt($0, radix: 16) }
      if ends.count == 2, let lower = ends[0], let upper = ends[1] { isInside = (lower..<upper).contains(address) }
      if isInside, line.hasPrefix("VmFlags:") { flags = line.split(separator: " ") }
    }
    #expect(flags.contains("dd"), "\(flags)")
    withExtendedLifetime(memory) {}
  }

  @Test(
    "sizes that are not a positive multiple of a page, or exceed the host, are refused",
    arguments: [0, -4096, 4097, .max, .max - 4095])
  func sizes(size: Int) {
    #expect(throws: Failure.self) { _ = try GuestMemory(size: size) }
  }
}

@Suite("Scatter lists")
struct ScatterListTests {
  /// Pieces of 3, 1, 8 and 4 bytes with gaps between them, holding 0...15.
  private func withList(_ body: (inout ScatterList) -> Void) {
    var memory = [UInt8](repeating: 0xEE, count: 64)
    memory.withUnsafeMutableBytes { bytes in
      var list = ScatterList()
      var value: UInt8 = 0
      for (place, count) in [(0, 3), (8, 1), (16, 8), (40, 4)] {
        let piece = UnsafeMutableRawBufferPointer(rebasing: bytes[place..<place + count])
        for index in piece.indices {
          piece[index] = value
          value += 1
        }
        list.append(piece)
      }
      body(&list)
    }
  }

  private func bytes(_ list: ScatterList) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: list.count)
    bytes.withUnsafeMutableBytes { _ = list.copyOut(into: $0) }
    return bytes
  }

  @Test("removing any number of bytes from the front or back leaves the rest")
  func cuts() {
    let all = Array(0..<16 as Range<UInt8>)
    for count in 0...17 {
      withList { list in
        list.removeFirst(count)
        #expect(bytes(list) == Array(all.dropFirst(count)))
        #expect(list.pieces.reduce(0) { $0 + $1.iov_len } == list.count)
      }
      withList { list in
        list.truncate(to: count)
        #expect(bytes(list) == Array(all.prefix(count)))
        #expect(list.pieces.reduce(0) { $0 + $1.iov_len } == list.count)
      }
    }
    withList { list in
      list.truncate(to: -1)
      #expect(list.isEmpty && list.pieces.isEmpty)
    }
  }

  @Test("steps of any size from any place cover the whole list")
  func places() {
    for start in 0...17 {
      for step in 1...17 {
        withList { list in
          var place = list.place(at: start)
          var taken: [UInt8] = []
          for _ in 0..<17 {
            var part = ScatterList()
            part.append(step, of: list, at: &place)
            #expect(part.count == min(step, max(0, 16 - start) - taken.count))
            taken += bytes(part)
          }
          #expect(taken == Array(Array(0..<16 as Range<UInt8>).dropFirst(start)))
        }
      }
    }
  }

  @Test("copies in and out at every offset stop at the end of either side")
  func copies() {
    for offset in 0...17 {
      for count in 0...17 {
        withList { list in
          var target = [UInt8](repeating: 0xFF, count: count)
          let copied = target.withUnsafeMutableBytes { list.copyOut(from: offset, into: $0) }
          #expect(copied == max(0, min(count, 16 - offset)))
          #expect(Array(target.prefix(copied)) == (0..<copied).map { UInt8(offset + $0) })
          let source = [UInt8](repeating: 0xAA, count: count)
          #expect(source.withUnsafeBytes { list.copyIn(from: $0, at: offset) } == copied)
          let after = bytes(list)
          #expect(after.indices.allSatisfy { (after[$0] == 0xAA) == (offset..<offset + copied).contains($0) })
        }
        withList { list in
          var target = [UInt8](repeating: 0xFF, count: 20)
          target.withUnsafeMutableBytes { raw in
            let other = ScatterList(UnsafeMutableRawBufferPointer(rebasing: raw[..<10]))
            let copied = list.copy(from: offset, count: count, to: other, at: 2)
            #expect(copied == max(0, min(count, 16 - offset, 8)))
          }
          #expect(target[10...].allSatisfy { $0 == 0xFF })
        }
      }
    }
  }

  @Test("adjacent pieces merge, empty pieces disappear, and an offset maps to its address")
  func merging() {
    var memory = [UInt8](repeating: 0, count: 16)
    memory.withUnsafeMutableBytes { bytes in
      var list = ScatterList()
      list.append(UnsafeMutableRawBufferPointer(rebasing: bytes[0..<4]))
      list.append(UnsafeMutableRawBufferPointer(rebasing: bytes[4..<4]))
      list.append(UnsafeMutableRawBufferPointer(rebasing: bytes[4..<8]))
      list.append(UnsafeMutableRawBufferPointer(rebasing: bytes[9..<10]))
      #expect(list.pieces.map(\.iov_len) == [8, 1])
      #expect(list.count == 9)
      #expect(list.address(at: 7) == bytes.baseAddress! + 7)
      #expect(list.address(at: 8) == bytes.baseAddress! + 9)
      #expect(list.address(at: 9) == nil)
      list.removeAll()
      #expect(list.isEmpty)
    }
  }
}
