import Backends
import Counters
import GuestMemory

/// The checksum as RFC 1071 writes it: 16-bit words in network order, an odd byte padded with zero, carries folded.
func naiveSum(_ bytes: [UInt8]) -> UInt16 {
  var sum = 0
  for index in stride(from: 0, to: bytes.count, by: 2) {
    sum += Int(bytes[index]) << 8 | (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
  }
  while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
  return UInt16(sum)
}

/// Memory split into pieces, kept until the end of the test.
final class PiecedMemory {
  private let memory: UnsafeMutableRawBufferPointer
  let list: ScatterList

  /// `bytes` in pieces that end at `cuts`. The pieces are not adjacent, and the first one is `alignment` bytes off.
  init(_ bytes: [UInt8], cuts: [Int] = [], alignment: Int = 0) {
    memory = .allocate(byteCount: bytes.count + 16 * (cuts.count + 2), alignment: 64)
    var list = ScatterList()
    var start = 0
    var place = alignment
    for end in cuts.filter({ $0 > 0 && $0 < bytes.count }) + [bytes.count] where end > start {
      let piece = UnsafeMutableRawBufferPointer(rebasing: memory[place..<place + end - start])
      piece.copyBytes(from: bytes[start..<end])
      list.append(piece)
      place += end - start + 3
      start = end
    }
    self.list = list
  }

  deinit { memory.deallocate() }
}

extension ScatterList {
  var bytes: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    bytes.withUnsafeMutableBytes { _ = copyOut(into: $0) }
    return bytes
  }
}

/// A receiver with as many buffers as the test gives it. It records the frames that it accepted.
final class TestReceiver: FrameReceiver, @unchecked Sendable {
  var acceptedOffloads: NetworkOffloads
  var buffers: Int
  private(set) var frames: [[UInt8]] = []
  private(set) var descriptions: [(checksum: PartialChecksum?, segmentation: Segmentation?)] = []
  private(set) var bursts = 0
  /// The link states that it was set to.
  private(set) var links: [Bool] = []

  init(_ offloads: NetworkOffloads = [], buffers: Int = .max) {
    acceptedOffloads = offloads
    self.buffers = buffers
  }

  func receive(_ frame: Frame) -> FrameDelivery {
    guard buffers > 0 else { return .noBuffer }
    buffers -= 1
    frames.append(frame.pieces.bytes)
    descriptions.append((frame.checksum, frame.segmentation))
    return .accepted
  }

  func receivedBurst() { bursts += 1 }
  func setLink(up: Bool) { links.append(up) }
}

/// A TCP frame as a sender leaves it for segmentation: lengths of the whole, the pseudo-header's sum as checksum.
struct TCPFrame {
  var isIPv6 = false
  var tags: [[UInt8]] = []
  var options = 0
  var payload = 4000
  var id: UInt16 = 0xFFFE
  var sequence: UInt32 = 0xFFFF_FF00
  var flags: UInt8 = 0x99  // CWR, ACK, PSH, FIN

  var network: Int { 14 + 4 * tags.count }
  var transport: Int { network + (isIPv6 ? 40 : 20) }
  var headerLength: Int { transport + 20 + options }
  var segmentation: Segmentation {
    Segmentation(kind: isIPv6 ? .tcp6 : .tcp4, segmentSize: 1448, headerLength: UInt16(headerLength))
  }

  var bytes: [UInt8] {
    func big(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)] }
    let type: [UInt8] = isIPv6 ? [0x86, 0xDD] : [0x08, 0x00]
    var bytes: [UInt8] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1] + tags.flatMap { $0 } + type
    let length = 20 + options + payload
    let addresses: [UInt8]
    if isIPv6 {
      addresses =
        [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1, 0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [2]
      bytes += [0x60, 0, 0, 0] + big(length & 0xFFFF) + [6, 64] + addresses
    } else {
      addresses = [10, 0, 0, 1, 10, 0, 0, 2]
      var header: [UInt8] =
        [0x45, 0] + big((20 + length) & 0xFFFF) + big(Int(id)) + [0x40, 0, 64, 6, 0, 0] + addresses
      header.replaceSubrange(10..<12, with: big(Int(~naiveSum(header))))
      bytes += header
    }
    bytes += big(1234) + big(80) + big(Int(sequence >> 16)) + big(Int(sequence & 0xFFFF)) + [0, 0, 0, 1]
    bytes += [UInt8((20 + options) / 4) << 4, flags, 0x20, 0]
    bytes += big(Int(naiveSum(addresses + [0, 6] + big(length & 0xFFFF)))) + [0, 0]
    bytes += [UInt8](repeating: 1, count: options)
    bytes += (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 11 &+ $0 >> 8) }
    return bytes
  }
}

func big16(_ bytes: [UInt8], _ offset: Int) -> Int { Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }
func big32(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
  UInt32(big16(bytes, offset)) << 16 | UInt32(big16(bytes, offset + 2))
}
