/// State that only a loop's handlers use, and that therefore needs no lock.
///
/// A debug build traps when another thread reaches it while the loop has a thread of its own.
// Unchecked: only the loop's thread reaches `state`; debug builds check that.
public final class LoopBound<State>: @unchecked Sendable {
  @usableFromInline let loop: EventLoop
  @usableFromInline var state: State

  public init(_ loop: EventLoop, _ state: State) {
    self.loop = loop
    self.state = state
  }

  @inlinable
  public var value: State {
    @inline(__always) _read {
      loop.assertOnLoop()
      yield state
    }
    @inline(__always) _modify {
      loop.assertOnLoop()
      yield &state
    }
  }
}

extension EventLoop {
  /// Traps in a debug build if the loop has a thread, and the caller is on another. A loop without a thread runs on the
  /// thread that calls `runOnce`.
  @inlinable
  @inline(__always)
  public func assertOnLoop() {
    #if DEBUG
      precondition(isOnLoop || !hasThread, "this belongs to the loop's thread, and another thread is here")
    #endif
  }
}
