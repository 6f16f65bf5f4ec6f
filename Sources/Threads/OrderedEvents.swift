import CLinux
import Failures
import Glibc

/// A set of eventfds that is polled for which of them were signalled, and in which order.
///
/// An edge-triggered epoll instance appends a descriptor to its ready list when the descriptor is first signalled, so
/// the list has the order. The number of further signals is unknown.
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

  /// Resets the events that were signalled since the last call.
  ///
  /// - Returns: the index of the event whose first signal came last; nil if none was signalled.
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
