import Backends
import Counters
import GuestMemory

/// Drives `FrameAdapter` with a frame of any bytes and any description, and checks the frames that it makes.
///
/// An input has a header of 12 bytes as virtio has it (`VirtioHeader`), a byte that splits the frame into pieces, and
/// the frame. Its last byte repeats up to the size in num_buffers, so that a small input makes a large frame.
final class FrameParser {
  private let adapter = FrameAdapter(counters: Counters(owner: "adapter"))

  func parse(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 13 + 14 else { return }
    let header = VirtioHeader(bytes)
    let frame = UnsafeRawBufferPointer(rebasing: bytes[13...])
    let count = max(frame.count, min(Int(header.bufferCount), Frame.maximumSize))
    let cut = 1 + Int(bytes[12])
    let gap = 16
    var memory = [UInt8](repeating: frame[frame.count - 1], count: count + 2 * gap)
    memory.withUnsafeMutableBytes { memory in
      var pieces = ScatterList()
      var (start, place) = (0, 0)
      for end in [min(cut, count), min(4 * cut, count), count] where end > start {
        let piece = UnsafeMutableRawBufferPointer(rebasing: memory[place..<place + end - start])
        if start < frame.count { piece.copyBytes(from: frame[start..<min(end, frame.count)]) }
        pieces.append(piece)
        // Without a gap, the list would join the pieces.
        place += end - start + gap
        start = end
      }
      guard let described = header.frame(pieces) else { return }
      _ = VirtioHeader(described)
      for offloads in [[], [.checksum], [.checksum, .tso4, .tso6]] as [NetworkOffloads] { adapt(described, offloads) }
      if let verified = adapter.verified(described) { adapt(verified, []) }
    }
  }

  private func adapt(_ frame: Frame, _ offloads: NetworkOffloads) {
    var count = 0
    var payload = 0
    let size = Int(frame.segmentation?.segmentSize ?? 0)
    let isPassed = frame.isAcceptable(to: offloads)
    adapter.adapt(frame, to: offloads) { piece in
      count += 1
      check(piece.isAcceptable(to: offloads), "the receiver cannot take the frame")
      check(piece.count <= Frame.maximumSize, "a frame of \(piece.count) bytes")
      check(isPassed || piece.segmentation == nil, "a segment is to be segmented")
      if frame.segmentation == nil { check(piece.count == frame.count, "a whole frame changed its size") }
      payload += piece.count
      if !isPassed, frame.segmentation != nil, !offloads.contains(.checksum) { Self.checkSum(piece) }
      return true
    }
    check(count <= 2048, "\(count) segments")
    if !isPassed, size > 0, count > 0 { check(payload >= frame.count, "segments lost payload") }
  }

  /// A segment's IPv4 header has a correct checksum.
  private static func checkSum(_ frame: Frame) {
    var head = [UInt8](repeating: 0, count: min(frame.count, 128))
    head.withUnsafeMutableBytes { _ = frame.pieces.copyOut(into: $0) }
    guard head.count >= 34, head[12] == 8, head[13] == 0 else { return }
    let length = Int(head[14] & 0x0F) * 4
    guard 14 + length <= head.count else { return }
    let sum = head.withUnsafeBytes { InternetSum.of(UnsafeRawBufferPointer(rebasing: $0[14..<14 + length])) }
    check(sum == 0xFFFF, "a segment's IPv4 checksum is wrong")
  }
}
