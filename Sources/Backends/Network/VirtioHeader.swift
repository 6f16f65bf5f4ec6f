import GuestMemory

/// virtio_net_hdr (VIRTIO 1.2, 5.1.6): the offloads that a frame still needs. virtio-net and the tap driver share it.
public struct VirtioHeader: Sendable, Equatable {
  /// Includes num_buffers, as the modern device always does and a tap does if its header size is set to 12.
  public static let size = 12

  public var flags: UInt8 = 0
  public var segmentationType: UInt8 = 0
  public var headerLength: UInt16 = 0
  public var segmentSize: UInt16 = 0
  public var checksumStart: UInt16 = 0
  public var checksumOffset: UInt16 = 0
  public var bufferCount: UInt16 = 0

  /// Describes the work that `frame` still needs.
  public init(_ frame: Frame) {
    if let checksum = frame.checksum {
      flags = 1
      checksumStart = checksum.start
      checksumOffset = checksum.offset
    } else if frame.isChecksumVerified {
      flags = 2
    }
    if let segmentation = frame.segmentation {
      segmentationType = segmentation.kind == .tcp4 ? 1 : 4
      headerLength = segmentation.headerLength
      segmentSize = segmentation.segmentSize
    }
  }

  /// Reads a header from the first `size` bytes of `bytes`.
  public init(_ bytes: UnsafeRawBufferPointer) {
    flags = bytes[0]
    segmentationType = bytes[1]
    headerLength = bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)
    segmentSize = bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
    checksumStart = bytes.loadUnaligned(fromByteOffset: 6, as: UInt16.self)
    checksumOffset = bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
    bufferCount = bytes.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
  }

  /// Writes the header's `size` bytes to the start of `bytes`.
  public func store(to bytes: UnsafeMutableRawBufferPointer) {
    bytes.storeBytes(of: flags, toByteOffset: 0, as: UInt8.self)
    bytes.storeBytes(of: segmentationType, toByteOffset: 1, as: UInt8.self)
    for (index, field) in [headerLength, segmentSize, checksumStart, checksumOffset, bufferCount].enumerated() {
      bytes.storeBytes(of: field, toByteOffset: 2 + 2 * index, as: UInt16.self)
    }
  }

  /// The frame in `pieces` as this header describes it; nil if the description does not match the frame.
  public func frame(_ pieces: ScatterList) -> Frame? {
    guard pieces.count >= 14, pieces.count <= Frame.maximumSize else { return nil }
    var frame = Frame(pieces: pieces)
    if flags & 1 != 0 {
      guard Int(checksumStart) + Int(checksumOffset) + 2 <= pieces.count else { return nil }
      frame.checksum = PartialChecksum(start: checksumStart, offset: checksumOffset)
    }
    frame.isChecksumVerified = flags & 2 != 0
    switch segmentationType & 0x7F {
    case 0: break
    case 1, 4:
      // A frame to segment has an incomplete checksum (5.1.6.2.1).
      guard segmentSize > 0, frame.checksum != nil else { return nil }
      frame.segmentation = Segmentation(
        kind: segmentationType & 0x7F == 1 ? .tcp4 : .tcp6, segmentSize: segmentSize, headerLength: headerLength)
    default: return nil
    }
    return frame
  }
}
