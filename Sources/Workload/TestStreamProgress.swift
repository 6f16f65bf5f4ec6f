/// How far the receiving half of a stream is: what has come in, in order, and how much the sender may send.
///
/// Guest and host keep their own way of looking at a frame's pieces and share this.
public struct TestStreamProgress: Sendable {
  /// Everything before it has come in, in order.
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

  /// Counts a data frame of `frameBytes` whose headers are at `head`, right if it is the next and `isRight` finds its
  /// payload right; the new grant when half a window has been used up.
  public mutating func take(
    _ head: UnsafeRawPointer, frameBytes: Int, isRight: (_ payload: Int, _ sequence: UInt32) -> Bool
  ) -> UInt64? {
    let payload = TestStream.payloadCount(head)
    let sequence = TestStream.sequence(head)
    frames += 1
    // Frames below Ethernet's least size are padded.
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
