import Backends
import GuestMemory
import Registers

/// The changes to a packet's headers before it is sent.
struct E1000HeaderEdit {
  /// A 16-bit value that is stored in big-endian order at `offset`.
  struct Store {
    var offset: Int
    var value: UInt16
  }
  /// IPv4 total length or IPv6 payload length.
  var length: Store?
  var ipChecksum: Store?
  var transportChecksum: Store?
  /// Tag control information to insert.
  var tag: UInt16?
  /// Minimum number of header bytes to copy.
  var copied = 0

  /// The number of bytes to copy so that they contain all changes.
  var headerLength: Int {
    var length = max(copied, tag == nil ? 0 : 12)
    for store in [self.length, ipChecksum, transportChecksum] {
      if let store { length = max(length, store.offset + 2) }
    }
    return length
  }
  var isEmpty: Bool { tag == nil && length == nil && ipChecksum == nil && transportChecksum == nil }
}

extension E1000Transmitter {
  /// The 16-bit big-endian value at `offset` of the packet; 0 beyond its end.
  func load16(at offset: Int) -> UInt16 {
    var value: UInt16 = 0
    withUnsafeMutableBytes(of: &value) { _ = data.copyOut(from: offset, into: $0) }
    return value.bigEndian
  }

  /// The Internet checksum of bytes `start` through `end`. An `end` of 0 means the packet's last byte.
  private func checksum(start: Int, end: Int) -> UInt16 {
    var sum = InternetSum()
    let last = end == 0 ? data.count - 1 : min(end, data.count - 1)
    sum.add(data, from: start, count: last - start + 1)
    return sum.checksum
  }

  /// Prepares the checksums that POPTS enables, at the offsets that the context set (SDM 3.5).
  func prepareChecksums(options: UInt8, _ edit: inout E1000HeaderEdit) {
    let wanted = options & (E1000PacketOption.ipChecksum | E1000PacketOption.transportChecksum)
    guard wanted != 0 else { return }
    // A packet without TSE uses only the context without TSE.
    guard plainContext.isValid else {
      tally.badDescriptors += 1
      return
    }
    let context = plainContext.descriptor
    if wanted & E1000PacketOption.ipChecksum != 0 {
      let start = context.ipChecksumStart
      let field = context.ipChecksumOffset
      let end = context.ipChecksumEnd
      if start < data.count, field + 2 <= data.count, end == 0 || end >= start {
        edit.ipChecksum = .init(offset: field, value: checksum(start: start, end: end))
      } else {
        tally.badDescriptors += 1
      }
    }
    if wanted & E1000PacketOption.transportChecksum != 0 {
      prepareTransport(
        start: context.transportChecksumStart, field: context.transportChecksumOffset,
        end: context.transportChecksumEnd, isUDP: context.command & E1000TransmitCommand.tcp == 0, &edit)
    }
  }

  /// Prepares a TCP or UDP checksum. If it covers the packet to its end and the backend has the offload, the backend
  /// completes it; otherwise it is computed here.
  func prepareTransport(start: Int, field: Int, end: Int, isUDP: Bool, _ edit: inout E1000HeaderEdit) {
    guard start < data.count, field + 2 <= data.count, end == 0 || end >= start else {
      tally.badDescriptors += 1
      return
    }
    let isWhole = end == 0 || end >= data.count - 1
    if settings.offloads.contains(.checksum), isWhole, field >= start {
      frame.checksum = PartialChecksum(
        start: UInt16(truncatingIfNeeded: start), offset: UInt16(truncatingIfNeeded: field - start))
      return
    }
    let value = checksum(start: start, end: end)
    // A UDP checksum of 0 means none (RFC 768).
    edit.transportChecksum = .init(offset: field, value: isUDP && value == 0 ? 0xFFFF : value)
  }

  // MARK: Building the frame

  /// Moves the packet from `data` to `frame`. If `edit` has changes, copies the header and changes the copy.
  func apply(_ edit: E1000HeaderEdit) {
    // `abandonPacket` empties the previous frame's list, which then collects the next packet.
    guard !edit.isEmpty else { return swap(&frame.pieces, &data) }
    frame.pieces.removeAll()
    let room = Self.headerRoom
    let copied = min(edit.headerLength, data.count, Self.longestHeader)
    let target = UnsafeMutableRawBufferPointer(rebasing: header[room..<room + copied])
    tally.bytesCopied += data.copyOut(into: target)
    for case let store? in [edit.length, edit.ipChecksum, edit.transportChecksum] where store.offset + 2 <= copied {
      target.storeBytes(of: store.value.bigEndian, toByteOffset: store.offset, as: UInt16.self)
    }
    var start = room
    if let tag = edit.tag, copied >= 12 {
      for index in 0..<12 { header[index] = header[room + index] }
      header.storeBytes(of: settings.vlanType.bigEndian, toByteOffset: 12, as: UInt16.self)
      header.storeBytes(of: tag.bigEndian, toByteOffset: 14, as: UInt16.self)
      start = 0
      frame.checksum?.start += 4
      frame.segmentation?.headerLength += 4
    }
    data.removeFirst(copied)
    frame.pieces.append(UnsafeMutableRawBufferPointer(rebasing: header[start..<room + copied]))
    frame.pieces.append(contentsOf: data)
  }
}

/// TCP segmentation (SDM 3.5). The device sends the packet as one frame; a backend or receiver that cannot take it
/// whole segments it.
extension E1000Transmitter {
  /// Checks the context against the packet. Fills in the lengths and checksums that drivers leave to the device.
  ///
  /// - Returns: false if the context is invalid for this packet.
  func prepareSegmentation(_ edit: inout E1000HeaderEdit) -> Bool {
    guard segmentationContext.isValid else { return false }
    let context = segmentationContext.descriptor
    let header = context.headerLength
    let network = context.ipChecksumStart
    let transport = context.transportChecksumStart
    let field = context.transportChecksumOffset
    let isIPv4 = context.command & E1000TransmitCommand.ipv4 != 0
    guard context.command & E1000TransmitCommand.tcp != 0, context.segmentSize > 0, network >= 14,
      transport >= network + (isIPv4 ? 20 : 40), transport + 20 <= header, field >= transport, field + 2 <= header,
      header < data.count
    else { return false }
    let packet = data.count - network
    guard packet - (isIPv4 ? 0 : 40) <= 0xFFFF else { return false }
    edit.copied = header
    if isIPv4 {
      let ipField = context.ipChecksumOffset
      let end = context.ipChecksumEnd == 0 ? transport - 1 : context.ipChecksumEnd
      guard ipField >= network, ipField + 2 <= transport, end > network, end < transport else { return false }
      let length = UInt16(truncatingIfNeeded: packet)
      edit.length = .init(offset: network + 2, value: length)
      var sum = InternetSum()
      sum.add(data, from: network, count: end - network + 1)
      // The sum includes the old length and checksum: replace the length, and remove the checksum.
      sum.add(~load16(at: network + 2))
      sum.add(length)
      sum.add(~load16(at: ipField))
      edit.ipChecksum = .init(offset: ipField, value: sum.checksum)
    } else {
      edit.length = .init(offset: network + 4, value: UInt16(truncatingIfNeeded: packet - 40))
    }
    // Drivers leave the length out of the pseudo-header's sum, because it differs between segments.
    var pseudoHeader = InternetSum()
    pseudoHeader.add(load16(at: field))
    pseudoHeader.add(UInt16(truncatingIfNeeded: data.count - transport))
    edit.transportChecksum = .init(offset: field, value: pseudoHeader.value)

    let payload = data.count - header
    if payload == context.payloadLength { tally.segmentations += 1 } else { tally.failedSegmentations += 1 }
    if payload <= context.segmentSize, !settings.offloads.contains(.checksum) {
      completeChecksum(from: transport, field: field, &edit)
      return true
    }
    frame.checksum = PartialChecksum(
      start: UInt16(truncatingIfNeeded: transport), offset: UInt16(truncatingIfNeeded: field - transport))
    if payload > context.segmentSize {
      frame.segmentation = Segmentation(
        kind: isIPv4 ? .tcp4 : .tcp6, segmentSize: UInt16(truncatingIfNeeded: context.segmentSize),
        headerLength: UInt16(truncatingIfNeeded: header))
    }
    return true
  }

  /// Computes the TCP checksum of a packet that is a single segment, for a backend without checksum offload.
  private func completeChecksum(from transport: Int, field: Int, _ edit: inout E1000HeaderEdit) {
    guard let pseudoHeader = edit.transportChecksum?.value else { return }
    var sum = InternetSum()
    sum.add(data, from: transport, count: data.count - transport)
    sum.add(~load16(at: field))
    sum.add(pseudoHeader)
    edit.transportChecksum?.value = sum.checksum
  }
}
