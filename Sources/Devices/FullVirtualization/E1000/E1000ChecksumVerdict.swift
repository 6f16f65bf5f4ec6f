import Backends
import GuestMemory
import Registers

/// What the device says of a received packet's checksums (SDM 3.2.9).
struct E1000ChecksumVerdict {
  private(set) var status: UInt8 = 0
  private(set) var errors: UInt8 = 0

  /// Checks what `control`, RXCSUM, asks for.
  ///
  /// - Parameters:
  ///   - header: the first bytes of the frame, zero beyond its end.
  ///   - isKnownGood: the TCP or UDP checksum needs no check.
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
      // Fragments carry no whole segment.
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
