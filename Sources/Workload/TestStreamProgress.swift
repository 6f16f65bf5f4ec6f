/// The progress of a stream's receiver: the data received in order, and the sender's credit.
///
/// Guest and host share this type. Each has its own code to access a frame's pieces.
public struct TestStreamProgress: Sendable {
  /// All data before this offset was received in order.
  public private(set) var offset: UInt64 = 0
  public private(set) var frames: UInt64 = 0
  public private(set) var wrong: UInt64 = 0
  /// The sender may send up to this offset.
  public private(set) var granted: UInt64 = 0
  private var window: UInt64 = 0

  public init() {}

  public mutating func begin(window: UInt64) {
    self = TestStreamProgress()
    self.window = window
    granted = window
  }

  /// Counts a data frame of `frameBytes` whose headers are at `head`.
  ///
  /// The frame is correct if it is the next one of the stream and `isRight` accepts its payload.
  ///
  /// - Returns: the new grant, once half of the window is used; otherwise nil.
  public mutating func take(
    _ head: UnsafeRawPointer, frameBytes: Int, isRight: (_ payload: Int, _ sequence: UInt32) -> Bool
  ) -> UInt64? {
    let payload = TestStream.payloadCount(head)
    let sequence = TestStream.sequence(head)
    frames += 1
    // Frames below Ethernet's minimum size are padded.
    guard payload > 0, payload + TestStream.headerSize <= max(frameBytes, TestStream.controlSize),
      sequence == UInt32(truncatingIfNeeded: offset), isRight(payload, sequence)
    else {
      wrong += 1
      return nil
    }
    offset += UInt64((payload + 3) & ~3)
    guard granted &- offset <= window / 2 else { return nil }
    granted = offset + window
    return granted
  }
}
