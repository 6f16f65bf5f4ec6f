import Backends
import GuestMemory
import Registers

/// The receive filters (SDM 3.2.1, 13.5).
extension E1000State {
  enum FilterResult { case rejected, exact, inexact }

  /// Filters a packet by its first 18 bytes.
  func filter(_ header: UnsafeRawBufferPointer) -> FilterResult {
    let control = registers[E1000Register.rctl]
    if control & E1000ReceiveControl.vlanFilter != 0, !passesVLANFilter(header, control) { return .rejected }
    let low = header.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
    let high = UInt32(header.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
    let isGroup = low & 1 != 0
    let isBroadcast = low == ~0 && high == 0xFFFF
    if isBroadcast, control & E1000ReceiveControl.acceptBroadcast != 0 { return .exact }
    if matchesReceiveAddress(low: low, high: high) { return .exact }
    if isGroup {
      if control & E1000ReceiveControl.multicastPromiscuous != 0 { return .inexact }
      return matchesMulticastTable(high, control) ? .inexact : .rejected
    }
    return control & E1000ReceiveControl.unicastPromiscuous != 0 ? .inexact : .rejected
  }

  private func matchesReceiveAddress(low: UInt32, high: UInt32) -> Bool {
    for index in 0..<UInt32(E1000Limit.receiveAddresses) where registers[E1000Register.ral0 + 8 * index] == low {
      let entry = registers[E1000Register.rah0 + 8 * index]
      // ASEL must be 0, to compare the destination address; other selections are reserved.
      if entry & E1000ReceiveAddressHigh.valid != 0, entry & 0x3_FFFF == high { return true }
    }
    return false
  }

  /// Twelve bits of the address's last two bytes index the table. RCTL.MO selects the bits (SDM 13.5.1).
  private func matchesMulticastTable(_ high: UInt32, _ control: UInt32) -> Bool {
    let shift: UInt32
    switch control >> E1000ReceiveControl.multicastOffsetShift & 3 {
    case 0: shift = 4
    case 1: shift = 3
    case 2: shift = 2
    default: shift = 0
    }
    let index = high >> shift & 0xFFF
    return registers[E1000Register.mta + 4 * (index >> 5)] >> (index & 31) & 1 != 0
  }

  private func passesVLANFilter(_ header: UnsafeRawBufferPointer, _ control: UInt32) -> Bool {
    guard isTagged(header) else { return true }
    let tag = UInt32(header.loadUnaligned(fromByteOffset: 14, as: UInt16.self).bigEndian)
    if control & E1000ReceiveControl.canonicalFormFilter != 0 {
      let expected: UInt32 = control & E1000ReceiveControl.canonicalFormIndicator != 0 ? 1 : 0
      if tag >> 12 & 1 != expected { return false }
    }
    let identifier = tag & 0xFFF
    return registers[E1000Register.vfta + 4 * (identifier >> 5)] >> (identifier & 31) & 1 != 0
  }

  /// Whether the type field is equal to VET.
  func isTagged(_ header: UnsafeRawBufferPointer) -> Bool {
    UInt32(header.loadUnaligned(fromByteOffset: 12, as: UInt16.self).bigEndian) == registers[E1000Register.vet] & 0xFFFF
  }
}

/// The device's check of a received packet's checksums (SDM 3.2.9).
struct E1000ChecksumVerdict {
  private(set) var status: UInt8 = 0
  private(set) var errors: UInt8 = 0

  /// Checks the checksums that `control`, the value of RXCSUM, enables.
  ///
  /// - Parameters:
  ///   - header: the first bytes of the frame, zero beyond its end.
  ///   - isKnownGood: the TCP or UDP checksum is correct without a check.
  init(
    of frame: Frame, header: UnsafeRawBufferPointer, networkOffset: Int, control: UInt32, isKnownGood: Bool
  ) {
    func load16(_ offset: Int) -> UInt16 {
      offset + 2 <= header.count ? header.loadUnaligned(fromByteOffset: offset, as: UInt16.self).bigEndian : 0
    }
    let checksTransport = control & E1000ReceiveChecksum.transport != 0
    var sum = InternetSum()
    let transport: Int
    let length: Int
    let next: UInt8
    switch load16(networkOffset - 2) {
    case 0x0800:
      let headerLength = Int(header[networkOffset] & 0x0F) * 4
      let total = Int(load16(networkOffset + 2))
      guard header[networkOffset] >> 4 == 4, headerLength >= 20, total >= headerLength,
        networkOffset + total <= frame.count, networkOffset + headerLength <= header.count
      else { return }
      if control & E1000ReceiveChecksum.ip != 0 {
        status |= E1000ReceiveStatus.ipChecksum
        var ip = InternetSum()
        ip.add(UnsafeRawBufferPointer(rebasing: header[networkOffset..<networkOffset + headerLength]))
        if ip.value != 0xFFFF { errors |= E1000ReceiveError.ipChecksum }
      }
      // A fragment does not hold a whole segment.
      guard load16(networkOffset + 6) & 0x3FFF == 0 else { return }
      next = header[networkOffset + 9]
      transport = networkOffset + headerLength
      length = total - headerLength
      sum.add(UnsafeRawBufferPointer(rebasing: header[networkOffset + 12..<networkOffset + 20]))
    case 0x86DD:
      next = header[networkOffset + 6]
      transport = networkOffset + 40
      length = Int(load16(networkOffset + 4))
      guard transport + length <= frame.count, transport <= header.count else { return }
      sum.add(UnsafeRawBufferPointer(rebasing: header[networkOffset + 8..<transport]))
    default: return
    }
    guard checksTransport else { return }
    switch next {
    case 6: guard length >= 20 else { return }
    case 17:
      // A UDP checksum of 0 means that there is none.
      guard length >= 8, load16(transport + 6) != 0 else { return }
    default: return
    }
    status |= E1000ReceiveStatus.transportChecksum
    guard !isKnownGood else { return }
    sum.add(UInt16(next))
    sum.add(UInt16(truncatingIfNeeded: length))
    sum.add(frame.pieces, from: transport, count: length)
    if sum.value != 0xFFFF { errors |= E1000ReceiveError.transportChecksum }
  }
}
