import Backends
import GuestMemory
import Workload

/// The receiver of a stream on the host. It checks the order of frames and every byte of their pieces.
struct StreamVerifier {
  private var progress = TestStreamProgress()

  var offset: UInt64 { progress.offset }
  var frames: UInt64 { progress.frames }
  var wrong: UInt64 { progress.wrong }
  var granted: UInt64 { progress.granted }

  mutating func begin(window: UInt64) { progress.begin(window: window) }

  /// Checks the data frame in `pieces`, whose headers are at `head`.
  ///
  /// A segment without payload is skipped, as by a TCP. QEMU 7.2's e1000 sends one after each TSO send whose payload is a
  /// multiple of the segment size.
  ///
  /// - Returns: the new grant, once half of the window is used; otherwise nil.
  mutating func take(_ pieces: ScatterList, head: UnsafeRawPointer) -> UInt64? {
    guard TestStream.payloadCount(head) != 0 else { return nil }
    return progress.take(head, frameBytes: pieces.count) { Self.isRight(pieces, $0, $1) }
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
