import CGuest

/// A received frame where the device put it: one piece, or several.
final class ReceivedFrame {
  /// A frame of 64 KiB in the smallest pieces a driver here uses fits.
  static var capacity: Int { 48 }
  private let addresses: UnsafeMutablePointer<UInt64>
  private let counts: UnsafeMutablePointer<Int>
  private(set) var pieceCount = 0
  /// Bytes in all.
  private(set) var count = 0

  init() {
    let table = Heap.allocate(16 * Self.capacity, alignment: 16)
    addresses = UnsafeMutablePointer<UInt64>(bitPattern: UInt(table)).unsafelyUnwrapped
    counts = UnsafeMutablePointer<Int>(bitPattern: UInt(table) + UInt(8 * Self.capacity)).unsafelyUnwrapped
  }

  func removeAll() {
    pieceCount = 0
    count = 0
  }

  func append(_ address: UInt64, _ bytes: Int) {
    guard pieceCount < Self.capacity else { fail("a frame in too many pieces") }
    addresses[pieceCount] = address
    counts[pieceCount] = bytes
    pieceCount += 1
    count += bytes
  }

  /// The first piece; it holds the headers.
  var start: UnsafeRawPointer { UnsafeRawPointer(bitPattern: UInt(addresses[0])).unsafelyUnwrapped }

  /// Whether `bytes` of payload behind `skip` are what belongs at `offset` of the stream.
  func payloadIsRight(skip: Int, bytes: Int, offset: UInt32) -> Bool {
    var left = bytes
    var skip = skip
    var position = offset
    for index in 0..<pieceCount where left > 0 {
      let here = min(counts[index] - skip, left)
      guard here >= 0, let start = UnsafeRawPointer(bitPattern: UInt(addresses[index]) + UInt(skip)) else {
        return false
      }
      if !TestStream.check(start, here, offset: position) { return false }
      position &+= UInt32(truncatingIfNeeded: here)
      left -= here
      skip = 0
    }
    return left == 0
  }
}

/// A NIC as the programs use it. Frames are without FCS.
protocol NetworkDevice: AnyObject {
  /// Its address, the first byte lowest.
  var macAddress: UInt64 { get }
  /// Whether the pseudo-header's sum of a frame to be cut includes its length, as virtio has it and the 82540EM not.
  var countsPseudoLength: Bool { get }
  /// A buffer for the next frame, nil while the ring is full. It holds `transmitCapacity` bytes.
  func transmitBuffer() -> UInt64?
  /// Queues the frame that was built in the last `transmitBuffer`; cut into segments when `segmentSize` is not 0.
  func transmit(bytes: Int, segmentSize: Int)
  /// Lets the device see what was queued.
  func kick()
  /// Takes the next received frame; false when there is none. Its buffers are the device's again after `recycle`.
  func receive(_ frame: ReceivedFrame) -> Bool
  /// Gives back the buffers of the frame received last.
  func recycle()
  /// Waits until something is received.
  func waitForReceive()
}
