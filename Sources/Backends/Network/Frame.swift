import GuestMemory

/// What a NIC or a backend takes over from the other side, in virtio's words (VIRTIO 1.2, 5.1.3).
public struct NetworkOffloads: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Takes frames whose TCP or UDP checksum is still to be completed.
  public static let checksum = NetworkOffloads(rawValue: 1 << 0)
  /// Takes TCP frames larger than the MTU, to be cut into segments.
  public static let tso4 = NetworkOffloads(rawValue: 1 << 1)
  public static let tso6 = NetworkOffloads(rawValue: 1 << 2)

  /// As `ethtool` users know them: csum, tso4, tso6.
  public var names: [String] {
    [(NetworkOffloads.checksum, "csum"), (.tso4, "tso4"), (.tso6, "tso6")].filter { contains($0.0) }.map(\.1)
  }
}

/// The checksum that is left to complete: the ones' complement sum from `start` to the frame's end, stored at
/// `start + offset`, where the sender left the pseudo-header's sum.
public struct PartialChecksum: Sendable, Equatable {
  public var start: UInt16
  public var offset: UInt16
  public init(start: UInt16, offset: UInt16) {
    self.start = start
    self.offset = offset
  }
}

/// How a large frame is to be cut.
public struct Segmentation: Sendable, Equatable {
  public enum Kind: Sendable { case tcp4, tcp6 }
  public var kind: Kind
  /// Payload bytes of each segment.
  public var segmentSize: UInt16
  /// Bytes of Ethernet, IP and TCP headers, repeated in each segment.
  public var headerLength: UInt16
  public init(kind: Kind, segmentSize: UInt16, headerLength: UInt16) {
    self.kind = kind
    self.segmentSize = segmentSize
    self.headerLength = headerLength
  }
}

/// An Ethernet frame without FCS on its way, in the sender's memory. Valid only during the call that passes it.
public struct Frame: Sendable {
  public var pieces: ScatterList
  public var checksum: PartialChecksum?
  public var segmentation: Segmentation?
  /// The sender knows that the checksum in the frame is right.
  public var isChecksumVerified = false

  public init(pieces: ScatterList, checksum: PartialChecksum? = nil, segmentation: Segmentation? = nil) {
    self.pieces = pieces
    self.checksum = checksum
    self.segmentation = segmentation
  }

  /// Bytes on the wire, without FCS.
  public var count: Int { pieces.count }

  /// What it may cost to pass the frame on, in about microseconds: its segments, 4 KiB of copying, 16 pieces.
  public var effort: Int {
    let segments = segmentation.map { (count + Int($0.segmentSize)) / max(1, Int($0.segmentSize)) } ?? 1
    return segments + count >> 12 + pieces.pieces.count >> 4
  }

  /// The effort after which a NIC that sends lets others on its loop have their turn: a batch of 64 TCP sends of 64 KiB.
  public static var turn: Int { 4096 }

  /// Most bytes a frame may have: 64 KiB of IP behind an Ethernet header with a VLAN tag.
  public static var maximumSize: Int { 65_535 + 18 }

  /// Whether a receiver that takes `offloads` can have the frame as it is.
  public func isAcceptable(to offloads: NetworkOffloads) -> Bool {
    if checksum != nil, !offloads.contains(.checksum) { return false }
    switch segmentation?.kind {
    case nil: return true
    case .tcp4: return offloads.contains(.tso4)
    case .tcp6: return offloads.contains(.tso6)
    }
  }
}

/// What became of a frame that was offered to a NIC.
public enum FrameDelivery: Sendable {
  case accepted
  /// Not for this NIC, or damaged: gone, and counted by the NIC.
  case discarded
  /// No receive buffer now: the backend may keep the frame and offer it again after `receiverReady`.
  case noBuffer
}

/// A NIC's receiving side, or a measuring end-point's. Called on the backend's event loop.
public protocol FrameReceiver: AnyObject, Sendable {
  /// What the receiver takes now; it may change as the guest negotiates.
  var acceptedOffloads: NetworkOffloads { get }
  /// Takes the frame or refuses it. A receiver answers later, from the loop: a sender is not re-entered from here.
  func receive(_ frame: Frame) -> FrameDelivery
  /// The last frame of a burst was delivered: the moment to interrupt.
  func receivedBurst()
  /// The cable: whether the backend's side has a link. Told on connecting and whenever it changes.
  func setLink(up: Bool)
}

extension FrameReceiver {
  /// For end-points that send whatever the link.
  public func setLink(up: Bool) {}
}

/// Where a NIC's frames go and come from: a switch port, a tap. Used on its event loop only.
public protocol NetworkBackend: AnyObject, Sendable {
  /// What kind it is in a report, as `switch`, `tap`.
  var kind: String { get }
  /// What may be left to the backend when sending to it.
  var acceptedOffloads: NetworkOffloads { get }
  /// Connects a receiver; nil unplugs.
  func connect(_ receiver: (any FrameReceiver)?)
  /// Sends one frame; it is taken or dropped before this returns, never kept.
  func send(_ frame: Frame)
  /// The last frame of a burst was sent: receivers may interrupt now.
  func sentBurst()
  /// The receiver has buffers again: frames held back are offered now.
  func receiverReady()
}
