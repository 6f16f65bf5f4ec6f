import Backends
import Counters
import GuestMemory
import Registers

/// Puts packets together from transmit descriptors (SDM 3.3). Belongs to the loop's thread, without a lock.
///
/// Pieces point into guest memory; the device copies only headers that it has to correct.
final class E1000Transmitter: @unchecked Sendable {
  /// What registers say about transmission, copied as a batch begins.
  struct Settings {
    /// CTRL.VME: descriptors may ask for a VLAN tag.
    var insertsVLAN = false
    /// VET.
    var vlanType: UInt16 = 0x8100
    /// TCTL.PSP.
    var padsShortPackets = false
    var isLoopback = false
    /// What the other end completes.
    var offloads: NetworkOffloads = []
  }

  /// What a context descriptor set (SDM 3.3.6).
  struct Context {
    var descriptor = E1000TransmitDescriptor()
    var isValid = false
  }

  let memory: GuestMemory
  let capacity: Int
  /// The batch: descriptors as they were copied from the ring.
  let descriptors: UnsafeMutablePointer<E1000TransmitDescriptor>
  var settings = Settings()
  /// The frame to send, complete after `finishPacket` returned true.
  var frame = Frame(pieces: ScatterList())
  /// The ring this packet came from, as `E1000.transmitEpoch` numbers them.
  var epoch = 0
  /// Packets, octets and counts of this batch.
  var tally = E1000TransmitTally()

  /// The packet's bytes so far.
  var data = ScatterList()
  var plainContext = Context()
  var segmentationContext = Context()
  /// The first descriptor of the packet; its POPTS and TSE count for all (SDM 3.3.7).
  private var first: E1000TransmitDescriptor?
  private var isOversized = false
  private var isDamaged = false

  /// Copied headers, with room in front for a VLAN tag.
  let header: UnsafeMutableRawBufferPointer
  static var headerRoom: Int { 4 }
  /// Checksum fields are found by 8-bit offsets: no header that the device corrects is longer.
  static var longestHeader: Int { 257 }
  /// A whole packet, for guests that scatter one over hundreds of buffers.
  private var bounce: UnsafeMutableRawBufferPointer?
  private static var mostPieces: Int { 128 }
  private let padding: UnsafeMutableRawBufferPointer
  private static var shortestPacket: Int { 60 }

  init(batch: Int, memory: GuestMemory) {
    self.memory = memory
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

  /// Forgets a packet whose end the guest took away.
  func abandonPacket() {
    first = nil
    isOversized = false
    isDamaged = false
    data.removeAll()
  }

  func reset() {
    abandonPacket()
    plainContext = Context()
    segmentationContext = Context()
  }

  /// Takes the next descriptor.
  ///
  /// - Returns: whether it ended a packet that is now in `frame`.
  func take(_ descriptor: E1000TransmitDescriptor) -> Bool {
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
        return false
      case E1000DescriptorType.data: length = descriptor.dataLength
      default:
        tally.badDescriptors += 1
        return false
      }
    }
    // Padding alone is no packet.
    if isNull, first == nil { return false }
    if first == nil { first = descriptor }
    append(address: descriptor.address, length: length)
    guard descriptor.command & E1000TransmitCommand.endOfPacket != 0 else { return false }
    let isComplete = finishPacket(last: descriptor)
    abandonPacket()
    return isComplete
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

  /// Gathers the packet so far in one piece, so that a scatter list never outgrows a `writev`.
  private func bounceData() {
    let buffer = bounce ?? .allocate(byteCount: Frame.maximumSize, alignment: 16)
    bounce = buffer
    // What was bounced before is already in its place.
    let kept = data.pieces[0].iov_base == buffer.baseAddress ? data.pieces[0].iov_len : 0
    let count = data.count
    let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[kept..<count])
    tally.bytesCopied += data.copyOut(from: kept, into: rest)
    tally.bounces += 1
    data.removeAll()
    data.append(UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count]))
  }

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
    // SDM 3.3.7.1: with TSE the first descriptor says whether and how the packet is tagged.
    let tagging = segments ? first : last
    if settings.insertsVLAN, tagging.command & E1000TransmitCommand.vlan != 0 { edit.tag = tagging.special }
    apply(edit)
    tally.count(frame)
    return true
  }
}
