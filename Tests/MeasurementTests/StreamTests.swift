import GuestMemory
import Testing
import Workload

@testable import Measurement

@Suite("The measured stream: order and every byte")
struct StreamTests {
  /// A data frame of `size` bytes at `offset` of the stream.
  private func frame(_ size: Int, at offset: UInt32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    bytes.withUnsafeMutableBytes { raw in
      guard let start = raw.baseAddress else { return }
      TestStream.writeHeaders(
        start, destination: 0x0100_0000_0002, source: 0x1000_0000_0002, frameBytes: size, offset: offset,
        pseudoLength: 0)
      TestStream.fill(start + 54, size - 54, offset: offset)
    }
    return bytes
  }

  /// Verifies frames in turn, each in pieces of at most `piece` bytes. Counts the right and the wrong ones.
  private func verify(_ frames: [[UInt8]], piece: Int = .max) -> (right: UInt64, wrong: UInt64) {
    var verifier = StreamVerifier()
    verifier.begin(window: 1 << 20)
    for var bytes in frames {
      bytes.withUnsafeMutableBytes { raw in
        guard let start = raw.baseAddress else { return }
        var pieces = ScatterList()
        var position = 0
        while position < raw.count {
          let end = position + min(piece, raw.count - position)
          pieces.append(UnsafeMutableRawBufferPointer(rebasing: raw[position..<end]))
          position = end
        }
        _ = verifier.take(pieces, head: UnsafeRawPointer(start))
      }
    }
    return (verifier.frames - verifier.wrong, verifier.wrong)
  }

  // 1514 bytes carry 1460, a multiple of 4.
  private var four: [[UInt8]] { (0..<4).map { frame(1514, at: UInt32(1460 * $0)) } }

  @Test("frames in order are right, in one piece or scattered", arguments: [Int.max, 1460, 100, 61, 3, 1])
  func right(piece: Int) { #expect(verify(four, piece: piece) == (4, 0)) }

  @Test("frames whose payload is not a multiple of four")
  func odd() {
    let step = UInt32(TestStream.advance(frameBytes: 61))
    #expect(step == 8)
    #expect(verify((0..<5).map { frame(61, at: step * $0) }) == (5, 0))
    #expect(verify((0..<5).map { frame(61, at: step * $0) }, piece: 57) == (5, 0))
  }

  @Test("a flipped bit anywhere in the payload is found", arguments: [54, 55, 57, 58, 800, 1512, 1513])
  func flipped(position: Int) {
    for bit in [0, 7] as [UInt8] {
      var frames = four
      frames[2][position] ^= 1 << bit
      // The next frame continues from one that never arrived.
      #expect(verify(frames).wrong == 2)
      #expect(verify(frames, piece: 100).wrong == 2)
    }
  }

  @Test("a lost, doubled or reordered frame is found")
  func order() {
    let frames = four
    #expect(verify([frames[0], frames[2], frames[3]]).wrong == 2)
    #expect(verify([frames[0], frames[0], frames[1]]) == (2, 1))
    #expect(verify([frames[0], frames[2], frames[1], frames[3]]).wrong > 0)
    #expect(verify([frames[1]]).wrong == 1)
  }

  @Test("a frame shorter than its IP length is wrong")
  func cut() { #expect(verify([Array(four[0].prefix(1000))]) == (0, 1)) }

  @Test("a segment without payload is not part of the stream")
  func empty() {
    let frames = four
    #expect(verify([frames[0], frame(54, at: 0), frames[1], frame(54, at: 2920), frames[2]]) == (3, 0))
  }

  @Test("the window is renewed when half of it is used")
  func credit() {
    var verifier = StreamVerifier()
    verifier.begin(window: 4 * 1460)
    #expect(verifier.granted == 4 * 1460)
    var grants: [UInt64?] = []
    for var bytes in four {
      bytes.withUnsafeMutableBytes { raw in
        guard let start = raw.baseAddress else { return }
        grants.append(verifier.take(ScatterList(raw), head: UnsafeRawPointer(start)))
      }
    }
    #expect(grants == [nil, 6 * 1460, nil, 8 * 1460])
  }

  @Test("headers are Ethernet, IPv4 with a correct checksum, and TCP with the offset as sequence number")
  func headers() {
    let bytes = frame(1514, at: 0x0102_0304)
    #expect(bytes[0..<14].elementsEqual([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x10, 0x08, 0x00]))
    #expect(bytes[14] == 0x45 && bytes[23] == 6)
    #expect(bytes[16..<18].elementsEqual([0x05, 0xDC]))
    #expect(bytes[38..<42].elementsEqual([1, 2, 3, 4]))
    var sum = stride(from: 14, to: 34, by: 2).reduce(0) { $0 + (Int(bytes[$1]) << 8 | Int(bytes[$1 + 1])) }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    #expect(sum == 0xFFFF)
  }

  @Test("a frame is for its destination or for a group")
  func destination() {
    var bytes = frame(1514, at: 0)
    func isFor(_ address: UInt64) -> Bool {
      bytes.withUnsafeBytes { raw in raw.baseAddress.map { TestStream.isFor($0, address: address) } ?? false }
    }
    #expect(isFor(0x0100_0000_0002))
    #expect(!isFor(0x0200_0000_0002))
    #expect(!isFor(0x1000_0000_0002))
    bytes[0] = 0xFF
    #expect(isFor(0x0200_0000_0002))
  }

  @Test("the payload at an offset is the same however it is split", arguments: [0, 1, 2, 3, 4, 5, 1459, 0xFFFF_FFFE])
  func offsets(offset: UInt32) {
    let base = offset & ~3
    var bytes = [UInt8](repeating: 0, count: 64)
    bytes.withUnsafeMutableBytes { raw in
      guard let start = raw.baseAddress else { return }
      TestStream.fill(start, 64, offset: base)
      let skip = Int(offset - base)
      for count in 1...(64 - skip) { #expect(TestStream.check(start + skip, count, offset: offset)) }
      #expect(!TestStream.check(start + skip, 40, offset: offset &+ 1))
      #expect(!TestStream.check(start + skip, 40, offset: offset &+ 4))
    }
  }
}

@Suite("The measured disk: every sector holds its position and generation")
struct TestDiskTests {
  private func sectors(_ count: Int, from sector: UInt64, generation: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 512 * count)
    bytes.withUnsafeMutableBytes { TestDisk.fill($0, sector: sector, generation: generation) }
    return bytes
  }

  private func isRight(_ bytes: [UInt8], _ sector: UInt64, _ generation: UInt64) -> Bool {
    bytes.withUnsafeBytes { TestDisk.check($0, sector: sector, generation: generation) }
  }

  @Test("filled sectors are right; a wrong position, a stale generation or an empty sector is wrong")
  func pattern() {
    let bytes = sectors(8, from: 100, generation: 3)
    #expect(isRight(bytes, 100, 3))
    #expect(isRight(Array(bytes[1024...]), 102, 3))
    #expect(!isRight(bytes, 101, 3))
    #expect(!isRight(bytes, 100, 2))
    #expect(!isRight([UInt8](repeating: 0, count: 512), 0, 0))
  }

  @Test("any flipped bit is found")
  func flipped() {
    for position in stride(from: 0, to: 4096, by: 37) {
      var bytes = sectors(8, from: 7, generation: 1)
      bytes[position] ^= 0x10
      #expect(!isRight(bytes, 7, 1))
    }
  }

  @Test("two swapped sectors are found")
  func swapped() {
    let bytes = sectors(2, from: 0, generation: 0)
    #expect(!isRight(Array(bytes[512...]) + Array(bytes[..<512]), 0, 0))
  }
}
