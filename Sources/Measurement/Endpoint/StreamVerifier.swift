import Backends
import GuestMemory
import Registers

/// The receiving half of a stream: checks order and every byte, and says when to grant more.
struct StreamVerifier {
  /// Everything before it has come in, in order.
  private(set) var offset: UInt64 = 0
  private(set) var frames: UInt64 = 0
  private(set) var wrong: UInt64 = 0
  private(set) var granted: UInt64 = 0
  private var window: UInt64 = 0

  mutating func begin(window: UInt64) {
    self = StreamVerifier()
    self.window = window
    granted = window
  }

  /// Checks a data frame of `count` bytes whose pieces are `pieces` and whose headers are `head`; the new grant when
  /// half a window has been used up.
  mutating func take(_ pieces: ScatterList, head: UnsafeRawPointer) -> UInt64? {
    let payload = TestStream.payloadCount(head)
    let sequence = TestStream.sequence(head)
    frames += 1
    guard payload > 0, payload + TestStream.headerSize <= max(pieces.count, 60),
      sequence == UInt32(truncatingIfNeeded: offset), Self.isRight(pieces, payload, sequence)
    else {
      wrong += 1
      return nil
    }
    offset += UInt64((payload + 3) & ~3)
    guard granted &- offset <= window / 2 else { return nil }
    granted = offset + window
    return granted
  }

  private static func isRight(_ pieces: ScatterList, _ payload: Int, _ sequence: UInt32) -> Bool {
    var skip = TestStream.headerSize
    var left = payload
    var position = sequence
    for piece in pieces.pieces where left > 0 {
      if skip >= piece.iov_len {
        skip -= piece.iov_len
        continue
      }
      let here = min(piece.iov_len - skip, left)
      guard let base = piece.iov_base, TestStream.check(base + skip, here, offset: position) else { return false }
      position &+= UInt32(truncatingIfNeeded: here)
      left -= here
      skip = 0
    }
    return left == 0
  }
}
