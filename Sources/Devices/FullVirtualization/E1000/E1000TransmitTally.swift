import Backends
import Counters
import Registers

/// What one batch of descriptors did, added to registers and counters when the lock is taken again.
struct E1000TransmitTally {
  var frames = 0
  var bytes = 0
  /// Packets and octets with FCS as they would be on the wire, where a large frame is many.
  var packets: UInt32 = 0
  var octets: UInt64 = 0
  var multicasts: UInt32 = 0
  var broadcasts: UInt32 = 0
  var sizeClasses: InlineArray<6, UInt32> = .init(repeating: 0)
  var segmentations: UInt32 = 0
  var failedSegmentations: UInt32 = 0

  var bytesCopied = 0
  var bounces = 0
  var badAddresses = 0
  var badDescriptors = 0
  var badChains = 0
  var malformed = 0

  /// Counts a frame that is about to be sent.
  mutating func count(_ frame: Frame) {
    frames += 1
    bytes += frame.count
    var wire = frame.count
    var segments = 1
    if let segmentation = frame.segmentation {
      let header = Int(segmentation.headerLength)
      let size = max(1, Int(segmentation.segmentSize))
      let payload = max(0, frame.count - header)
      segments = max(1, (payload + size - 1) / size)
      wire = frame.count + (segments - 1) * header
      let last = payload - (segments - 1) * size + header + 4
      let full = UInt32(truncatingIfNeeded: segments - 1)
      sizeClasses[E1000RegisterFile.sizeClass(octets: size + header + 4)] &+= full
      sizeClasses[E1000RegisterFile.sizeClass(octets: last)] &+= 1
    } else {
      sizeClasses[E1000RegisterFile.sizeClass(octets: frame.count + 4)] &+= 1
    }
    packets &+= UInt32(truncatingIfNeeded: segments)
    octets &+= UInt64(wire + 4 * segments)
    var destination: (UInt32, UInt16) = (0, 0)
    withUnsafeMutableBytes(of: &destination) {
      _ = frame.pieces.copyOut(into: UnsafeMutableRawBufferPointer(rebasing: $0[0..<6]))
    }
    if destination == (0xFFFF_FFFF, 0xFFFF) {
      broadcasts &+= UInt32(truncatingIfNeeded: segments)
    } else if destination.0 & 1 != 0 {
      multicasts &+= UInt32(truncatingIfNeeded: segments)
    }
  }

  func add(to registers: E1000RegisterFile) {
    typealias S = E1000Statistic
    if failedSegmentations > 0 { registers.count(S.tsctfc, failedSegmentations) }
    guard packets > 0 else { return }
    registers.count(S.tpt, packets)
    registers.count(S.gptc, packets)
    registers.countOctets(S.totl, octets)
    registers.countOctets(S.gotcl, octets)
    registers.count(S.mptc, multicasts)
    registers.count(S.bptc, broadcasts)
    registers.count(S.tsctc, segmentations)
    for index in 0..<6 { registers.count(S.ptc64 + 4 * UInt32(index), sizeClasses[index]) }
  }

  func add(to counters: Counters) {
    counters.add(.framesSent, frames)
    counters.add(.bytesSent, bytes)
    counters.add(.bytesCopied, bytesCopied)
    counters.add(.bounces, bounces)
    counters.add(.badAddress, badAddresses)
    counters.add(.badDescriptor, badDescriptors)
    counters.add(.badChain, badChains)
    counters.add(.dropsMalformed, malformed)
  }
}
