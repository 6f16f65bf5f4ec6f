import DequeModule
import GuestMemory

/// Copies of frames that wait because the receiver had no buffer. Bounded by number and bytes.
struct HeldFrames {
  /// As many as a tap's queue holds, and more than the window of a stream, so that a paused machine loses nothing.
  private static let frameLimit = 1000
  private static let byteLimit = 4 << 20

  private struct Held {
    var buffer: UnsafeMutableRawBufferPointer
    var frame: Frame
  }
  private var frames: Deque<Held> = []
  private var bytes = 0

  var isEmpty: Bool { frames.isEmpty }
  var first: Frame? { frames.first?.frame }

  /// Keeps a copy of `frame`. Returns false if there is no room.
  mutating func append(_ frame: Frame) -> Bool {
    guard frames.count < Self.frameLimit, bytes + frame.count <= Self.byteLimit else { return false }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(frame.count, 1), alignment: 16)
    frame.pieces.copyOut(into: buffer)
    var copy = frame
    copy.pieces = ScatterList(UnsafeMutableRawBufferPointer(rebasing: buffer[0..<frame.count]))
    frames.append(Held(buffer: buffer, frame: copy))
    bytes += frame.count
    return true
  }

  mutating func removeFirst() {
    guard let held = frames.popFirst() else { return }
    bytes -= held.frame.count
    held.buffer.deallocate()
  }

  mutating func removeAll() { while !frames.isEmpty { removeFirst() } }
}
