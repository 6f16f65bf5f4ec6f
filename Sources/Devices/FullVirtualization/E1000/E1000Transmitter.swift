import Backends
import Counters
import GuestMemory
import Registers
import Synchronization

/// Builds packets from transmit descriptors (SDM 3.3). Only the loop's thread uses it, so it needs no lock.
///
/// The device fills a batch of descriptors with its lock held. The transmitter then works without the lock, and the
/// device reports the batch. A frame's pieces point into guest memory. The transmitter copies only headers that it has
/// to change, short packets' padding, and packets in too many pieces.
final class E1000Transmitter {
  /// Register settings that affect transmission, copied when a batch begins.
  struct Settings {
    /// CTRL.VME: descriptors may request a VLAN tag.
    var insertsVLAN = false
    /// VET.
    var vlanType: UInt16 = 0x8100
    /// TCTL.PSP.
    var padsShortPackets = false
    var isLoopback = false
    /// Offloads that the backend accepts; none in loopback.
    var offloads: NetworkOffloads = []
  }

  /// The last context descriptor of a kind (SDM 3.3.6).
  struct Context {
    var descriptor = E1000TransmitDescriptor()
    var isValid = false
  }

  /// A run of descriptors, copied from the ring.
  struct Batch {
    /// The index of the first descriptor in the ring.
    var first = 0
    var count = 0
    /// Number of descriptors that the transmitter has taken so far.
    var taken = 0
    /// Descriptors in the whole ring.
    var ringSize = 0
  }

  let memory: GuestMemory
  /// Segments large frames for the receiver in loopback.
  let loopbackAdapter: FrameAdapter
  /// Maximum number of descriptors in a batch.
  let capacity: Int
  /// The batch's descriptors, as they were copied from the ring.
  let descriptors: UnsafeMutablePointer<E1000TransmitDescriptor>
  var batch = Batch()
  /// The batch was sent but not yet written back; bus mastering may be off. `descriptors` still has its descriptors.
  var isUnreported = false
  /// TDT, when the device last looked at it.
  var seenTail: UInt32 = 0
  /// RDT, when the receiver last had too few buffers; nil while it has enough.
  var starvedTail: UInt32?
  /// The ring that the batch and an unfinished packet came from.
  var ring: E1000TransmitEpoch.Number
  private let epoch: E1000TransmitEpoch
  var settings = Settings()
  /// The frame that `take` returns. Kept here to reuse its list of pieces.
  var frame = Frame(pieces: ScatterList())
  /// Packets, octets and counts of this batch.
  var tally = E1000TransmitTally()

  /// The packet's bytes so far.
  var data = ScatterList()
  var plainContext = Context()
  var segmentationContext = Context()
  /// The first descriptor of the packet; its POPTS and TSE apply to the whole packet (SDM 3.3.7).
  private var first: E1000TransmitDescriptor?
  private var isOversized = false
  private var isDamaged = false

  /// Copied headers, with room in front for a VLAN tag.
  let header: UnsafeMutableRawBufferPointer
  static var headerRoom: Int { 4 }
  /// The longest header that the device changes: checksum fields have 8-bit offsets.
  static var longestHeader: Int { 257 }
  /// Memory for a whole packet, for guests that scatter one over more than `mostPieces` buffers.
  private var bounce: UnsafeMutableRawBufferPointer?
  private static var mostPieces: Int { 128 }
  private let padding: UnsafeMutableRawBufferPointer
  private static var shortestPacket: Int { 60 }

  init(batch: Int, memory: GuestMemory, epoch: E1000TransmitEpoch, counters: Counters) {
    self.memory = memory
    self.epoch = epoch
    ring = epoch.current
    loopbackAdapter = FrameAdapter(counters: counters)
    capacity = batch
    descriptors = .allocate(capacity: batch)
    descriptors.initialize(repeating: .init(), count: batch)
    header = .allocate(byteCount: Self.headerRoom + Self.longestHeader + 3, alignment: 16)
    header.initializeMemory(as: UInt8.self, repeating: 0)
    padding = .allocate(byteCount: Self.shortestPacket, alignment: 16)
    padding.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit {
    descriptors.deallocate()
    header.deallocate()
    padding.deallocate()
    bounce?.deallocate()
  }

  private func abandonPacket() {
    first = nil
    isOversized = false
    isDamaged = false
    data.removeAll()
  }

  /// Drops the unfinished packet and the contexts: the guest moved the head or the base, or reset the device.
  func reset() {
    abandonPacket()
    plainContext = Context()
    segmentationContext = Context()
  }

  /// Whether the guest still has the ring that the batch came from.
  var hasRing: Bool { ring == epoch.current }

  /// Whether the batch has a descriptor left to take.
  var hasDescriptor: Bool { batch.taken < batch.count }

  /// Takes the batch's next descriptor; `hasDescriptor` must be true.
  ///
  /// - Returns: the packet that the descriptor ended, if any. It is valid until the next call.
  func take() -> Frame? {
    let descriptor = descriptors[batch.taken]
    batch.taken += 1
    return take(descriptor)
  }

  private func take(_ descriptor: E1000TransmitDescriptor) -> Frame? {
    // SDM 3.3.3: a legacy descriptor with a null address transfers no data.
    let isNull = !descriptor.isExtended && descriptor.address == 0
    var length = isNull ? 0 : descriptor.legacyLength
    if descriptor.isExtended {
      switch descriptor.type {
      case E1000DescriptorType.context:
        let context = Context(descriptor: descriptor, isValid: true)
        if descriptor.command & E1000TransmitCommand.segment != 0 {
          segmentationContext = context
        } else {
          plainContext = context
        }
        return nil
      case E1000DescriptorType.data: length = descriptor.dataLength
      default:
        tally.badDescriptors += 1
        return nil
      }
    }
    // Padding does not begin a packet.
    if isNull, first == nil { return nil }
    if first == nil { first = descriptor }
    append(address: descriptor.address, length: length)
    guard descriptor.command & E1000TransmitCommand.endOfPacket != 0 else { return nil }
    let isComplete = finishPacket(last: descriptor)
    abandonPacket()
    return isComplete ? frame : nil
  }

  private func append(address: UInt64, length: Int) {
    guard length > 0, !isOversized, !isDamaged else { return }
    guard data.count + length <= Frame.maximumSize else {
      isOversized = true
      tally.badChains += 1
      return data.removeAll()
    }
    guard let slice = memory.slice(at: address, count: length) else {
      isDamaged = true
      tally.badAddresses += 1
      return data.removeAll()
    }
    data.append(slice)
    if data.pieces.count > Self.mostPieces { bounceData() }
  }

  /// Copies the packet so far into one piece, so that a scatter list never exceeds the limit of `writev`.
  private func bounceData() {
    let buffer = bounce ?? .allocate(byteCount: Frame.maximumSize, alignment: 16)
    bounce = buffer
    // The part that was bounced before is already in place.
    let kept = data.pieces[0].iov_base == buffer.baseAddress ? data.pieces[0].iov_len : 0
    let count = data.count
    let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[kept..<count])
    tally.bytesCopied += data.copyOut(from: kept, into: rest)
    tally.bounces += 1
    data.removeAll()
    data.append(UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count]))
  }

  /// - Returns: whether `frame` now has the packet.
  private func finishPacket(last: E1000TransmitDescriptor) -> Bool {
    guard let first, !isOversized, !isDamaged else {
      tally.malformed += 1
      return false
    }
    if data.count < 14 {
      tally.badDescriptors += 1
      tally.malformed += 1
      return false
    }
    frame.checksum = nil
    frame.segmentation = nil
    let segments = first.isExtended && first.command & E1000TransmitCommand.segment != 0
    guard segments || data.count <= E1000Limit.packetSize else {
      tally.badChains += 1
      tally.malformed += 1
      return false
    }
    var edit = E1000HeaderEdit()
    if segments {
      guard prepareSegmentation(&edit) else {
        tally.failedSegmentations += 1
        tally.badDescriptors += 1
        tally.malformed += 1
        return false
      }
    } else if first.isExtended {
      prepareChecksums(options: first.packetOptions, &edit)
    } else if last.command & E1000TransmitCommand.insertChecksum != 0 {
      // SDM 3.3.3: CSS is the first descriptor's, CSO the last one's.
      prepareTransport(
        start: first.checksumStart, field: last.checksumOffset, end: 0, isUDP: false, &edit)
    }
    if settings.padsShortPackets, data.count < Self.shortestPacket {
      data.append(UnsafeMutableRawBufferPointer(rebasing: padding[0..<Self.shortestPacket - data.count]))
    }
    // SDM 3.3.7.1: with TSE, the VLAN tag comes from the first descriptor.
    let tagging = segments ? first : last
    if settings.insertsVLAN, tagging.command & E1000TransmitCommand.vlan != 0 { edit.tag = tagging.special }
    apply(edit)
    tally.count(frame)
    return true
  }
}

/// The number of the transmit ring: it changes when the guest moves the ring or its head, or resets the device.
///
/// An access changes it with the device's lock held. The loop's thread reads it between two frames without the lock.
final class E1000TransmitEpoch: Sendable {
  typealias Number = Int
  private let number = Atomic<Number>(0)

  var current: Number { number.load(ordering: .acquiring) }
  func advance() { number.wrappingAdd(1, ordering: .releasing) }
}

/// Counts of one batch of descriptors. The device adds them to registers and counters when it has the lock again.
struct E1000TransmitTally {
  var frames = 0
  var bytes = 0
  /// Packets on the wire, after segmentation. `octets` includes their FCS.
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

  func add(to registers: borrowing E1000RegisterFile) {
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
