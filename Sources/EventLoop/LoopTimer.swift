import CLinux
import Glibc
import Synchronization
import Threads

/// The time an event loop goes by.
public protocol LoopClock: Sendable {
  /// Nanoseconds since some fixed moment.
  var now: UInt64 { get }
}

/// The host's CLOCK_MONOTONIC.
public struct MonotonicClock: LoopClock {
  public init() {}
  public var now: UInt64 { clinux_monotonic_ns() }
}

/// A clock that a test moves.
public final class VirtualClock: LoopClock {
  private let time = Atomic<UInt64>(0)
  public init() {}
  public var now: UInt64 { time.load(ordering: .relaxed) }
  public func advance(by nanoseconds: UInt64) { time.add(nanoseconds, ordering: .relaxed) }
}

/// A one-shot timer that is set again and again, on any thread; it fires on the loop's.
// Unchecked: a weak reference is a `var`; nothing sets it again.
public final class LoopTimer: @unchecked Sendable {
  private weak var loop: EventLoop?
  let handler: @Sendable () -> Void
  private let state = Guarded<UInt64?>(.timer, nil)

  init(loop: EventLoop, handler: @escaping @Sendable () -> Void) {
    self.loop = loop
    self.handler = handler
  }

  /// When it is due, by the loop's clock; nil when it is not set.
  public var deadline: UInt64? { state.withLock { $0 } }

  /// Makes it due `delay` nanoseconds from now, whatever it was set to before.
  public func set(after delay: UInt64) {
    guard let loop else { return }
    let (deadline, overflow) = loop.clock.now.addingReportingOverflow(delay)
    state.withLock { $0 = overflow ? .max : deadline }
    loop.timersChanged()
  }

  public func cancel() { state.withLock { $0 = nil } }

  func takeIfDue(now: UInt64) -> Bool {
    state.withLock { deadline in
      guard let due = deadline, due <= now else { return false }
      deadline = nil
      return true
    }
  }
}
