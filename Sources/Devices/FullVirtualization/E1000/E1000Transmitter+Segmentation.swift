import Backends
import GuestMemory
import Registers

/// TCP segmentation (SDM 3.5): the packet leaves as one frame, to be cut by whoever cannot take it whole.
extension E1000Transmitter {
  /// Checks the context against the packet, and fills in lengths and checksums that drivers leave to the device.
  ///
  /// - Returns: false when the packet cannot be segmented as asked.
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
      // The sum was taken over the fields as they were: put the new length in and the old checksum out.
      sum.add(~load16(at: network + 2))
      sum.add(length)
      sum.add(~load16(at: ipField))
      edit.ipChecksum = .init(offset: ipField, value: sum.checksum)
    } else {
      edit.length = .init(offset: network + 4, value: UInt16(truncatingIfNeeded: packet - 40))
    }
    // Drivers leave the length out of the pseudo-header's sum, since it differs by segment.
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

  /// A packet that is one segment leaves whole, and with its checksum where nobody else completes it.
  private func completeChecksum(from transport: Int, field: Int, _ edit: inout E1000HeaderEdit) {
    guard let pseudoHeader = edit.transportChecksum?.value else { return }
    var sum = InternetSum()
    sum.add(data, from: transport, count: data.count - transport)
    sum.add(~load16(at: field))
    sum.add(pseudoHeader)
    edit.transportChecksum?.value = sum.checksum
  }
}
