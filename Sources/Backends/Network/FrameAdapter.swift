import Counters
import GuestMemory

/// Makes a frame fit a receiver: completes checksums and splits large sends into segments (VIRTIO 1.2, 5.1.6.2).
///
/// It never writes to the sender's memory. It copies the headers and corrects the copy; the payload stays in place. A
/// frame that it passes on is valid only during the call. Used on one event loop.
// Unchecked: only the loop's thread uses `scratch` and `pieces`.
public final class FrameAdapter: @unchecked Sendable {
  private static let headerLimit = 512
  /// The most segments of one frame. A 64 KiB frame stays below this with 48 payload bytes per segment, TCP's smallest
  /// in use. With smaller segments, one descriptor would keep the loop busy for too long.
  private static let segmentLimit = 2048
  private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: headerLimit, alignment: 16)
  private let counters: Counters
  private var pieces = ScatterList()

  public init(counters: Counters) { self.counters = counters }

  deinit { scratch.deallocate() }

  /// Calls `body` with `frame`, or with the equivalent frames for a receiver that accepts only `offloads`.
  ///
  /// - Parameter body: returns whether it takes more segments; if not, the remaining segments are dropped.
  /// - Returns: false if the frame does not match its own description. It is then dropped and counted.
  @discardableResult
  public func adapt(_ frame: Frame, to offloads: NetworkOffloads, _ body: (Frame) -> Bool) -> Bool {
    if frame.isAcceptable(to: offloads) {
      _ = body(frame)
      return true
    }
    let isWhole = frame.segmentation.map { segment(frame, $0, offloads, body) } ?? complete(frame, body)
    if !isWhole { counters.add(.dropsMalformed) }
    return isWhole
  }

  // MARK: Checks of the sender's description

  /// Returns `frame` with the end of its headers and the place of its checksum taken from the headers themselves.
  ///
  /// The receiver of a large frame trusts these fields, so they must not come from the guest. A frame without
  /// segmentation is returned unchanged.
  ///
  /// - Returns: nil if the frame is not TCP as its segmentation claims, or would make too many segments.
  @inline(__always)
  public func verified(_ frame: Frame) -> Frame? {
    guard let segmentation = frame.segmentation else { return frame }
    return verified(frame, segmentation)
  }

  private func verified(_ frame: Frame, _ segmentation: Segmentation) -> Frame? {
    let copied = min(frame.count, Self.headerLimit)
    frame.pieces.copyOut(into: UnsafeMutableRawBufferPointer(rebasing: scratch[0..<copied]))
    guard let headers = parse(segmentation, frameCount: frame.count), isCuttable(frame, segmentation, headers) else {
      return nil
    }
    var frame = frame
    frame.segmentation?.headerLength = UInt16(truncatingIfNeeded: headers.length)
    frame.checksum = PartialChecksum(start: UInt16(truncatingIfNeeded: headers.transport), offset: 16)
    return frame
  }

  /// Whether the segments' lengths fit their headers and their number is within the limit.
  private func isCuttable(_ frame: Frame, _ segmentation: Segmentation, _ headers: Headers) -> Bool {
    let size = Int(segmentation.segmentSize)
    let total = frame.count - headers.length
    // The IP length fields have 16 bits; IPv6's does not count its header.
    let counted = headers.length - headers.network - (headers.isIPv6 ? 40 : 0)
    return size > 0 && total >= 0 && counted + min(size, total) <= 65_535 && total <= size * Self.segmentLimit
  }

  // MARK: Checksums

  private func complete(_ frame: Frame, _ body: (Frame) -> Bool) -> Bool {
    guard let checksum = frame.checksum else { return false }
    let start = Int(checksum.start)
    let place = start + Int(checksum.offset)
    guard place + 2 <= frame.count, place + 2 <= Self.headerLimit else { return false }
    let value = ~InternetSum.of(frame.pieces, from: start, count: frame.count - start)
    frame.pieces.copyOut(into: UnsafeMutableRawBufferPointer(rebasing: scratch[0..<place + 2]))
    // In UDP, zero means "no checksum". All ones is equivalent, also for TCP.
    storeBig(value == 0 ? 0xFFFF : value, at: place)
    counters.add(.checksumsCompleted)
    counters.add(.bytesCopied, place + 2)
    pieces.removeAll()
    pieces.append(UnsafeMutableRawBufferPointer(rebasing: scratch[0..<place + 2]))
    var rest = frame.pieces.place(at: place + 2)
    pieces.append(frame.count - place - 2, of: frame.pieces, at: &rest)
    _ = body(Frame(pieces: pieces))
    return true
  }

  // MARK: Segments

  /// Offsets of a TCP frame's headers, and their total length.
  private struct Headers {
    var network: Int
    var transport: Int
    var length: Int
    var isIPv6: Bool
  }

  /// Finds IP and TCP in the copied headers; nil if they do not match `segmentation`.
  private func parse(_ segmentation: Segmentation, frameCount: Int) -> Headers? {
    let limit = min(frameCount, Self.headerLimit)
    var network = 14
    guard limit >= 54 else { return nil }
    var type = loadBig(12)
    for _ in 0..<2 where type == 0x8100 || type == 0x88A8 {
      type = loadBig(network + 2)
      network += 4
    }
    let isIPv6 = segmentation.kind == .tcp6
    guard type == (isIPv6 ? 0x86DD : 0x0800) else { return nil }
    var transport = network + (isIPv6 ? 40 : Int(scratch[network] & 0x0F) * 4)
    guard transport >= network + 20, transport + 20 <= limit else { return nil }
    var next = isIPv6 ? scratch[network + 6] : scratch[network + 9]
    // IPv6 hop-by-hop and destination options: next header, then the length in units of 8 bytes after the first 8.
    while isIPv6, next == 0 || next == 60 {
      next = scratch[transport]
      transport += 8 + 8 * Int(scratch[transport + 1])
      guard transport + 20 <= limit else { return nil }
    }
    guard next == 6 else { return nil }
    let length = transport + Int(scratch[transport + 12] >> 4) * 4
    guard length >= transport + 20, length <= limit, length <= Self.headerLimit else { return nil }
    return Headers(network: network, transport: transport, length: length, isIPv6: isIPv6)
  }

  private func segment(
    _ frame: Frame, _ segmentation: Segmentation, _ offloads: NetworkOffloads, _ body: (Frame) -> Bool
  ) -> Bool {
    let copied = min(frame.count, Self.headerLimit)
    frame.pieces.copyOut(into: UnsafeMutableRawBufferPointer(rebasing: scratch[0..<copied]))
    guard let headers = parse(segmentation, frameCount: frame.count), isCuttable(frame, segmentation, headers) else {
      return false
    }
    let header = UnsafeMutableRawBufferPointer(rebasing: scratch[0..<headers.length])
    let firstID = loadBig(headers.network + 4)
    let firstSequence = loadBig32(headers.transport + 4)
    let flags = scratch[headers.transport + 13]
    var rest = frame.pieces.place(at: headers.length)
    var offset = 0
    let total = frame.count - headers.length
    let size = Int(segmentation.segmentSize)
    // A frame of headers alone is one segment.
    repeat {
      let length = min(size, total - offset)
      let isLast = offset + length >= total
      setLength(headers, payload: length)
      if !headers.isIPv6 {
        storeBig(firstID &+ UInt16(truncatingIfNeeded: offset / size), at: headers.network + 4)
        setIPv4Checksum(headers)
      }
      storeBig32(firstSequence &+ UInt32(truncatingIfNeeded: offset), at: headers.transport + 4)
      // As in NICs, only the first segment has CWR, and only the last has PSH and FIN.
      scratch[headers.transport + 13] = flags & (offset == 0 ? 0xFF : 0x7F) & (isLast ? 0xFF : 0xF6)
      pieces.removeAll()
      pieces.append(header)
      pieces.append(length, of: frame.pieces, at: &rest)
      counters.add(.segmentsCut)
      counters.add(.bytesCopied, headers.length)
      guard body(finishSegment(headers, payload: length, offloads)) else { break }
      offset += length
    } while offset < total
    return true
  }

  /// Sets IPv4's total length, or IPv6's payload length, which excludes the IPv6 header.
  private func setLength(_ headers: Headers, payload: Int) {
    let packet = headers.length - headers.network + payload
    if headers.isIPv6 {
      storeBig(UInt16(truncatingIfNeeded: packet - 40), at: headers.network + 4)
    } else {
      storeBig(UInt16(truncatingIfNeeded: packet), at: headers.network + 2)
    }
  }

  private func setIPv4Checksum(_ headers: Headers) {
    storeBig(0, at: headers.network + 10)
    let bytes = UnsafeRawBufferPointer(rebasing: scratch[headers.network..<headers.transport])
    storeBig(~InternetSum.of(bytes), at: headers.network + 10)
  }

  /// Stores the TCP checksum of the segment in `pieces`, or only the pseudo-header's sum if the receiver completes it.
  private func finishSegment(_ headers: Headers, payload: Int, _ offloads: NetworkOffloads) -> Frame {
    let length = headers.length - headers.transport + payload
    let addresses =
      headers.isIPv6
      ? headers.network + 8..<headers.network + 40 : headers.network + 12..<headers.network + 20
    var pseudoHeader = InternetSum()
    pseudoHeader.add(UnsafeRawBufferPointer(rebasing: scratch[addresses]))
    pseudoHeader.add(6)
    pseudoHeader.add(UInt16(truncatingIfNeeded: length))
    let pseudo = pseudoHeader.value
    storeBig(pseudo, at: headers.transport + 16)
    let start = UInt16(truncatingIfNeeded: headers.transport)
    if offloads.contains(.checksum) {
      return Frame(pieces: pieces, checksum: PartialChecksum(start: start, offset: 16))
    }
    let value = ~InternetSum.of(pieces, from: headers.transport, count: length)
    storeBig(value, at: headers.transport + 16)
    counters.add(.checksumsCompleted)
    return Frame(pieces: pieces)
  }

  // MARK: Big-endian fields of the copied headers

  private func loadBig(_ offset: Int) -> UInt16 { UInt16(scratch[offset]) << 8 | UInt16(scratch[offset + 1]) }
  private func loadBig32(_ offset: Int) -> UInt32 { UInt32(loadBig(offset)) << 16 | UInt32(loadBig(offset + 2)) }
  private func storeBig(_ value: UInt16, at offset: Int) {
    scratch[offset] = UInt8(truncatingIfNeeded: value >> 8)
    scratch[offset + 1] = UInt8(truncatingIfNeeded: value)
  }
  private func storeBig32(_ value: UInt32, at offset: Int) {
    storeBig(UInt16(truncatingIfNeeded: value >> 16), at: offset)
    storeBig(UInt16(truncatingIfNeeded: value), at: offset + 2)
  }
}
