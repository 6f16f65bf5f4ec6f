import Backends
import Counters
import GuestMemory
import Testing

@Suite("Frames adapted to their receiver (VIRTIO 1.2, 5.1.6.2)")
struct FrameAdapterTests {
  let counters = Counters(owner: "test")

  private func adapt(
    _ bytes: [UInt8], cuts: [Int] = [], checksum: PartialChecksum? = nil, segmentation: Segmentation? = nil,
    to offloads: NetworkOffloads = [], most: Int = .max
  ) -> (isWhole: Bool, frames: [[UInt8]], checksums: [PartialChecksum?]) {
    let adapter = FrameAdapter(counters: counters)
    let memory = PiecedMemory(bytes, cuts: cuts)
    var frames: [[UInt8]] = []
    var checksums: [PartialChecksum?] = []
    let frame = Frame(pieces: memory.list, checksum: checksum, segmentation: segmentation)
    let isWhole = adapter.adapt(frame, to: offloads) { piece in
      frames.append(piece.pieces.bytes)
      checksums.append(piece.checksum)
      return frames.count < most
    }
    #expect(memory.list.bytes == bytes, "the adapter does not write the sender's memory")
    return (isWhole, frames, checksums)
  }

  @Test("a frame that the receiver accepts passes unchanged")
  func passes() {
    let bytes = TCPFrame().bytes
    let result = adapt(
      bytes, checksum: .init(start: 34, offset: 16), segmentation: TCPFrame().segmentation, to: [.checksum, .tso4])
    #expect(result.frames == [bytes])
    #expect(counters[.segmentsCut] == 0)
    #expect(counters[.bytesCopied] == 0)
  }

  @Test("a checksum is completed, whatever the pieces", arguments: [[], [34], [1, 2, 3], [50], [51, 52]])
  func completes(cuts: [Int]) {
    let tcp = TCPFrame(payload: 101)
    let bytes = tcp.bytes
    let result = adapt(bytes, cuts: cuts, checksum: .init(start: 34, offset: 16))
    #expect(result.isWhole)
    #expect(result.checksums == [nil])
    let frame = result.frames[0]
    let pseudo: [UInt8] = [10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, 121]
    #expect(naiveSum(pseudo + frame[34...]) == 0xFFFF)
    #expect(Array(frame[..<50]) == Array(bytes[..<50]))
    #expect(Array(frame[52...]) == Array(bytes[52...]))
    #expect(counters[.checksumsCompleted] == 1)
    #expect(counters[.bytesCopied] == 52)
  }

  @Test("UDP: a sum of zero is sent as 0xFFFF")
  func zero() {
    // All ones with a checksum field of ones: the complement of the sum is zero.
    let frame = [UInt8](repeating: 0, count: 34) + [UInt8](repeating: 0xFF, count: 20)
    let result = adapt(frame, checksum: .init(start: 34, offset: 6))
    #expect(Array(result.frames[0][40..<42]) == [0xFF, 0xFF])
  }

  @Test(
    "a TCP frame is split into segments that are complete frames",
    arguments: [
      TCPFrame(), TCPFrame(isIPv6: true), TCPFrame(tags: [[0x81, 0, 0, 5]]), TCPFrame(options: 12),
      TCPFrame(isIPv6: true, tags: [[0x88, 0xA8, 0, 5], [0x81, 0, 0, 6]], options: 40), TCPFrame(payload: 1448 * 2),
      TCPFrame(payload: 1), TCPFrame(payload: 0), TCPFrame(payload: 65_495),
    ], [[], [54], [1, 20, 54, 55, 1999]] as [[Int]])
  func segments(tcp: TCPFrame, cuts: [Int]) throws {
    let bytes = tcp.bytes
    let result = adapt(
      bytes, cuts: cuts, checksum: .init(start: UInt16(tcp.transport), offset: 16), segmentation: tcp.segmentation)
    try #require(result.isWhole)
    let count = max(1, (tcp.payload + 1447) / 1448)
    #expect(result.frames.count == count)
    #expect(counters[.segmentsCut] == UInt64(count))
    #expect(result.frames.flatMap { $0[tcp.headerLength...] } == Array(bytes[tcp.headerLength...]))
    for (index, frame) in result.frames.enumerated() {
      let isLast = index == count - 1
      let length = isLast ? tcp.payload - 1448 * (count - 1) : 1448
      #expect(frame.count == tcp.headerLength + length)
      #expect(Array(frame[..<tcp.network]) == Array(bytes[..<tcp.network]))
      if tcp.isIPv6 {
        #expect(big16(frame, tcp.network + 4) == 20 + tcp.options + length)
      } else {
        #expect(big16(frame, tcp.network + 2) == 40 + tcp.options + length)
        #expect(big16(frame, tcp.network + 4) == Int(tcp.id &+ UInt16(index)))
        #expect(naiveSum(Array(frame[tcp.network..<tcp.network + 20])) == 0xFFFF)
      }
      #expect(big32(frame, tcp.transport + 4) == tcp.sequence &+ UInt32(1448 * index))
      // CWR only in the first segment, PSH and FIN only in the last, ACK in all.
      #expect(frame[tcp.transport + 13] == 0x10 | (index == 0 ? 0x80 : 0) | (isLast ? 0x09 : 0))
      #expect(checksumHolds(frame, tcp))
    }
  }

  private func checksumHolds(_ frame: [UInt8], _ tcp: TCPFrame) -> Bool {
    let addresses = tcp.isIPv6 ? frame[tcp.network + 8..<tcp.network + 40] : frame[tcp.network + 12..<tcp.network + 20]
    let length = frame.count - tcp.transport
    return naiveSum(Array(addresses) + [0, 6, UInt8(length >> 8), UInt8(length & 0xFF)] + frame[tcp.transport...])
      == 0xFFFF
  }

  @Test("a receiver that completes checksums gets segments with only the pseudo-header's sum")
  func segmentsWithPartialChecksum() {
    let tcp = TCPFrame()
    let result = adapt(tcp.bytes, checksum: .init(start: 34, offset: 16), segmentation: tcp.segmentation, to: .checksum)
    #expect(result.checksums.allSatisfy { $0 == PartialChecksum(start: 34, offset: 16) })
    for frame in result.frames {
      let length = frame.count - 34
      let pseudo: [UInt8] = [10, 0, 0, 1, 10, 0, 0, 2, 0, 6, UInt8(length >> 8), UInt8(length & 0xFF)]
      #expect(big16(frame, 50) == Int(naiveSum(pseudo)))
    }
    #expect(counters[.checksumsCompleted] == 0)
  }

  @Test("a frame with an invalid description is dropped and counted")
  func malformed() {
    var refused: UInt64 = 0
    func refuse(_ bytes: [UInt8], _ checksum: PartialChecksum?, _ segmentation: Segmentation?) {
      let result = adapt(bytes, checksum: checksum, segmentation: segmentation)
      refused += 1
      #expect(!result.isWhole)
      #expect(result.frames == [])
      #expect(counters[.dropsMalformed] == refused)
    }
    let tcp = TCPFrame()
    let whole = tcp.bytes
    let partial = PartialChecksum(start: 34, offset: 16)
    refuse(Array(whole.prefix(51)), partial, nil)
    refuse(whole, PartialChecksum(start: 600, offset: 16), nil)
    refuse(whole, PartialChecksum(start: 0xFFFF, offset: 0xFFFF), nil)
    func changed(_ offset: Int, _ value: UInt8) -> [UInt8] {
      var bytes = whole
      bytes[offset] = value
      return bytes
    }
    refuse(changed(12, 0x86), partial, tcp.segmentation)  // not IPv4
    refuse(changed(14, 0x44), partial, tcp.segmentation)  // IHL 4
    refuse(changed(23, 17), partial, tcp.segmentation)  // UDP
    refuse(changed(46, 0x40), partial, tcp.segmentation)  // data offset 4
    refuse(Array(changed(46, 0xF0).prefix(60)), partial, tcp.segmentation)  // TCP header beyond the end
    refuse(Array(changed(14, 0x4F).prefix(60)), partial, tcp.segmentation)  // IP header beyond the end
    refuse(Array(whole.prefix(53)), partial, tcp.segmentation)
    refuse(whole, partial, Segmentation(kind: .tcp4, segmentSize: 0, headerLength: 54))
    refuse(whole, partial, Segmentation(kind: .tcp6, segmentSize: 1448, headerLength: 54))
    // A segment longer than an IP length field can hold, and too many segments for one frame.
    refuse(TCPFrame(payload: 65_499).bytes, partial, Segmentation(kind: .tcp4, segmentSize: 65_535, headerLength: 54))
    refuse(TCPFrame(payload: 60_000).bytes, partial, Segmentation(kind: .tcp4, segmentSize: 1, headerLength: 54))
  }

  @Test("truncated frames and damaged headers do not stop the adapter")
  func fuzz() {
    let whole = TCPFrame(payload: 300).bytes
    let segmentation = Segmentation(kind: .tcp4, segmentSize: 100, headerLength: 54)
    for count in 14...whole.count {
      _ = adapt(Array(whole.prefix(count)), checksum: .init(start: 34, offset: 16), segmentation: segmentation)
    }
    for offset in 12..<54 {
      for value in [0, 0x7F, 0x80, 0xFF] as [UInt8] {
        var bytes = whole
        bytes[offset] = value
        _ = adapt(bytes, checksum: .init(start: 34, offset: 16), segmentation: segmentation)
      }
    }
  }

  @Test("a receiver that refuses a segment gets no further ones")
  func stops() {
    let tcp = TCPFrame()
    let result = adapt(
      tcp.bytes, checksum: .init(start: 34, offset: 16), segmentation: tcp.segmentation, most: 2)
    #expect(result.isWhole)
    #expect(result.frames.count == 2)
    #expect(counters[.segmentsCut] == 2)
  }

  @Test("IPv6: each segment keeps the options and counts them in its payload length (RFC 8200, 4.3 and 4.6)")
  func extensionHeaders() throws {
    let plain = TCPFrame(isIPv6: true, payload: 3000)
    // Hop-by-hop options of 8 bytes, and destination options of 16.
    let options: [UInt8] = [60, 0, 1, 4, 0, 0, 0, 0] + [6, 1, 1, 12] + [UInt8](repeating: 0, count: 12)
    var bytes = plain.bytes
    bytes[20] = 0
    bytes.insert(contentsOf: options, at: 54)
    let header = plain.headerLength + 24
    let result = adapt(
      bytes, checksum: .init(start: 78, offset: 16),
      segmentation: .init(kind: .tcp6, segmentSize: 1448, headerLength: UInt16(header)))
    try #require(result.frames.count == 3)
    #expect(result.frames.flatMap { $0[header...] } == Array(bytes[header...]))
    for frame in result.frames {
      #expect(Array(frame[54..<78]) == options)
      #expect(big16(frame, 18) == frame.count - 54)
      let length = frame.count - 78
      let pseudo = Array(frame[22..<54]) + [0, 0, UInt8(length >> 8), UInt8(length & 0xFF), 0, 0, 0, 6]
      #expect(naiveSum(pseudo + frame[78...]) == 0xFFFF)
    }
    // Options whose length reaches beyond the headers.
    bytes[55] = 0xFF
    #expect(!adapt(bytes, segmentation: .init(kind: .tcp6, segmentSize: 1448, headerLength: 98)).isWhole)
  }
}

@Suite("virtio_net_hdr (VIRTIO 1.2, 5.1.6)")
struct VirtioHeaderTests {
  @Test("a frame's description survives a round trip through the header, field by field")
  func roundTrip() {
    let memory = PiecedMemory([UInt8](repeating: 0, count: 100))
    let frame = Frame(
      pieces: memory.list, checksum: .init(start: 0x0102, offset: 0x0304),
      segmentation: .init(kind: .tcp6, segmentSize: 0x0506, headerLength: 0x0708))
    var bytes = [UInt8](repeating: 0xEE, count: 12)
    bytes.withUnsafeMutableBytes { VirtioHeader(frame).store(to: $0) }
    #expect(bytes == [1, 4, 0x08, 0x07, 0x06, 0x05, 0x02, 0x01, 0x04, 0x03, 0, 0])
    #expect(bytes.withUnsafeBytes { VirtioHeader($0) } == VirtioHeader(frame))
  }

  @Test("a checksum beyond the frame is invalid: start + offset + 2 bytes")
  func checksumPlace() {
    let memory = PiecedMemory([UInt8](repeating: 0, count: 100))
    var header = VirtioHeader(Frame(pieces: memory.list))
    header.flags = 1
    header.checksumStart = 90
    header.checksumOffset = 8
    #expect(header.frame(memory.list)?.checksum == PartialChecksum(start: 90, offset: 8))
    header.checksumOffset = 9
    #expect(header.frame(memory.list) == nil)
  }

  @Test("GSO types by number, with or without ECN")
  func types() {
    let memory = PiecedMemory([UInt8](repeating: 0, count: 100))
    var header = VirtioHeader(Frame(pieces: memory.list, checksum: .init(start: 34, offset: 16)))
    header.segmentSize = 1000
    for type in UInt8.min...UInt8.max {
      header.segmentationType = type
      let frame = header.frame(memory.list)
      switch type & 0x7F {
      case 0: #expect(frame != nil && frame?.segmentation == nil)
      case 1: #expect(frame?.segmentation?.kind == .tcp4)
      case 4: #expect(frame?.segmentation?.kind == .tcp6)
      default: #expect(frame == nil)
      }
    }
  }
}
