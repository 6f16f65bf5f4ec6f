import GuestMemory

/// The work that the sender of a frame may leave to a NIC or a backend, with virtio's names (VIRTIO 1.2, 5.1.3).
public struct NetworkOffloads: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Accepts frames with an incomplete TCP or UDP checksum.
  public static let checksum = NetworkOffloads(rawValue: 1 << 0)
  /// Accepts TCP frames larger than the MTU, with their segmentation left to do.
  public static let tso4 = NetworkOffloads(rawValue: 1 << 1)
  public static let tso6 = NetworkOffloads(rawValue: 1 << 2)

  /// Short names for reports: csum, tso4, tso6.
  public var names: [String] {
    [(NetworkOffloads.checksum, "csum"), (.tso4, "tso4"), (.tso6, "tso6")].filter { contains($0.0) }.map(\.1)
  }
}

/// An incomplete checksum. It covers the bytes from `start` to the frame's end and is stored at `start + offset`.
///
/// The sender has stored the pseudo-header's sum in the checksum field.
public struct PartialChecksum: Sendable, Equatable {
  public var start: UInt16
  public var offset: UInt16
  public init(start: UInt16, offset: UInt16) {
    self.start = start
    self.offset = offset
  }
}

/// How to segment a large frame.
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

/// An Ethernet frame without FCS, in the sender's memory. Valid only during the call that passes it.
public struct Frame: Sendable {
  public var pieces: ScatterList
  public var checksum: PartialChecksum?
  public var segmentation: Segmentation?
  /// The sender has verified the checksum in the frame.
  public var isChecksumVerified = false

  public init(pieces: ScatterList, checksum: PartialChecksum? = nil, segmentation: Segmentation? = nil) {
    self.pieces = pieces
    self.checksum = checksum
    self.segmentation = segmentation
  }

  /// Bytes on the wire, without FCS.
  public var count: Int { pieces.count }

  /// Estimated cost of forwarding the frame, in microseconds: one for each segment, 4 KiB of data and 16 pieces.
  public var effort: Int {
    let segments = segmentation.map { (count + Int($0.segmentSize)) / max(1, Int($0.segmentSize)) } ?? 1
    return segments + count >> 12 + pieces.pieces.count >> 4
  }

  /// The effort after which a sending NIC lets the loop's other handlers run: 64 TCP sends of 64 KiB.
  public static var turn: Int { 4096 }

  /// The most bytes of a frame: 64 KiB of IP behind an Ethernet header with a VLAN tag.
  public static var maximumSize: Int { 65_535 + 18 }

  /// Whether a receiver that accepts `offloads` can take the frame unchanged.
  public func isAcceptable(to offloads: NetworkOffloads) -> Bool {
    if checksum != nil, !offloads.contains(.checksum) { return false }
    switch segmentation?.kind {
    case nil: return true
    case .tcp4: return offloads.contains(.tso4)
    case .tcp6: return offloads.contains(.tso6)
    }
  }
}

/// A NIC's answer to a frame that was offered to it.
public enum FrameDelivery: Sendable {
  case accepted
  /// Not for this NIC, or damaged. The NIC has dropped and counted it.
  case discarded
  /// There is no receive buffer. The backend may keep the frame and offer it again after `receiverReady`.
  case noBuffer
}

/// The receiving side of a NIC or of a measuring endpoint. Called on the backend's event loop.
public protocol FrameReceiver: AnyObject, Sendable {
  /// The offloads that the receiver accepts now. They may change when the guest negotiates features.
  var acceptedOffloads: NetworkOffloads { get }
  /// Takes the frame or refuses it.
  ///
  /// Must not send from inside the call; a reply is sent later, from the loop.
  func receive(_ frame: Frame) -> FrameDelivery
  /// The last frame of a burst was delivered, so the receiver may interrupt now.
  func receivedBurst()
  /// Reports whether the backend's side has a link. Called on connecting and whenever the link changes.
  func setLink(up: Bool)
}

extension FrameReceiver {
  /// For endpoints that ignore the link.
  public func setLink(up: Bool) {}
}

/// The host side of a NIC: a switch port or a tap. Used on its event loop only.
public protocol NetworkBackend: AnyObject, Sendable {
  /// The kind for reports: `switch` or `tap`.
  var kind: String { get }
  /// The offloads that a sender may leave to the backend.
  var acceptedOffloads: NetworkOffloads { get }
  /// Connects a receiver; nil disconnects it.
  func connect(_ receiver: (any FrameReceiver)?)
  /// Sends one frame. The backend has taken or dropped it when this returns, and does not keep a reference.
  func send(_ frame: Frame)
  /// The last frame of a burst was sent, so receivers may interrupt now.
  func sentBurst()
  /// The receiver has buffers again. Offers it the held frames.
  func receiverReady()
}
