import CLinux
import Failures
import Glibc

/// Eventfds that nobody waits for, asked now and then which of them were signalled, and in which order.
///
/// An edge-triggered epoll instance appends a descriptor to its ready list when the descriptor is first signalled, so the
/// list has the order. How often each was signalled in between is not known.
public final class OrderedEvents: Sendable {
  private let events: [EventDescriptor]
  private let epoll: Int32

  /// - Parameter events: at most 8.
  public init(_ events: [EventDescriptor]) throws(Failure) {
    self.events = events
    epoll = try systemCall("create an epoll descriptor") { epoll_create1(Int32(EPOLL_CLOEXEC)) }
    for (index, event) in events.enumerated() {
      var interest = epoll_event(
        events: UInt32(EPOLLIN.rawValue) | UInt32(bitPattern: 1 << 31), data: epoll_data_t(u64: UInt64(index)))
      try systemCall("watch descriptor \(event.descriptor)") {
        epoll_ctl(epoll, EPOLL_CTL_ADD, event.descriptor, &interest)
      }
    }
  }

  deinit { close(epoll) }

  /// Takes back to zero what was signalled since the last call.
  ///
  /// - Returns: the index of the event that was the last to be signalled for the first time; nil for none.
  public func takeLast() -> Int? {
    withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 8) { ready in
      var last: Int?
      for position in 0..<Int(max(0, epoll_wait(epoll, ready.baseAddress, 8, 0))) {
        let index = Int(truncatingIfNeeded: ready[position].data.u64)
        if events[index].drain() { last = index }
      }
      return last
    }
  }
}
