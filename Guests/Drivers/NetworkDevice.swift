import CGuest

/// A received frame in the device's buffers, in one or more pieces.
final class ReceivedFrame {
  /// The maximum number of pieces: enough for 64 KiB in the smallest buffers of these drivers.
  static var capacity: Int { 48 }
  private let addresses: UnsafeMutablePointer<UInt64>
  private let counts: UnsafeMutablePointer<Int>
  private(set) var pieceCount = 0
  /// The total number of bytes.
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

  /// The first piece, which holds the headers.
  var start: UnsafeRawPointer { UnsafeRawPointer(bitPattern: UInt(addresses[0])).unsafelyUnwrapped }

  /// Whether `bytes` of payload behind `skip` match the stream at `offset`.
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

/// The interface of a NIC for programs. Frames have no FCS.
protocol NetworkDevice: AnyObject {
  /// Its address, the first byte lowest.
  var macAddress: UInt64 { get }
  /// Whether a large frame's pseudo-header sum includes the length: yes for virtio, no for the 82540EM.
  var countsPseudoLength: Bool { get }
  /// A buffer for the next frame, nil while the ring is full. It holds `transmitCapacity` bytes.
  func transmitBuffer() -> UInt64?
  /// Queues the frame that was built in the last `transmitBuffer`. The device segments it if `segmentSize` is not 0.
  func transmit(bytes: Int, segmentSize: Int)
  /// Shows the queued frames to the device.
  func kick()
  /// Takes the next received frame; false when there is none. `recycle` returns its buffers to the device.
  func receive(_ frame: ReceivedFrame) -> Bool
  /// Returns the buffers of the last received frame.
  func recycle()
  /// Waits until a frame is received. After each other interrupt, `goesOn` says whether to wait further.
  func waitForReceive(while goesOn: () -> Bool)
  /// Reads a register without side effects: one exit to user space.
  func readStatus()
}

extension NetworkDevice {
  /// Waits until a frame is received.
  func waitForReceive() { waitForReceive { true } }
}
