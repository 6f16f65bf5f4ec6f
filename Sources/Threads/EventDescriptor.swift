import CLinux
import Failures
import Glibc

/// An eventfd: a counter that a thread, a device or KVM increments, and for which an event loop waits.
public final class EventDescriptor: Sendable {
  public let descriptor: Int32

  public init() throws(Failure) {
    descriptor = try systemCall("create an eventfd") { eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) }
  }

  deinit { close(descriptor) }

  /// Adds one. Safe on any thread. If the counter is at its limit, it is signalled already and stays so.
  public func signal() {
    var one: UInt64 = 1
    while write(descriptor, &one, 8) < 0, errno == EINTR {}
  }

  /// Resets the counter to zero. Returns false if it was zero.
  @discardableResult
  public func drain() -> Bool {
    var count: UInt64 = 0
    while true {
      if read(descriptor, &count, 8) == 8 { return true }
      if errno != EINTR { return false }
    }
  }
}
