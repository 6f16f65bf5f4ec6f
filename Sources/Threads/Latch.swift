import Glibc

/// A gate that one thread opens once, and for which others wait.
// Unchecked: `mutex` guards `isOpen`; a condition variable cannot wait on a `Guarded`.
public final class Latch: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var isOpen = false

  public init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  public func open() {
    pthread_mutex_lock(mutex)
    isOpen = true
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }

  public func wait() {
    pthread_mutex_lock(mutex)
    while !isOpen { pthread_cond_wait(condition, mutex) }
    pthread_mutex_unlock(mutex)
  }

  /// Waits until the gate is open or `nanoseconds` have passed. Returns whether it is open.
  public func wait(nanoseconds: UInt64) -> Bool {
    var limit = timespec()
    clock_gettime(CLOCK_REALTIME, &limit)
    let total = UInt64(limit.tv_nsec) + nanoseconds % 1_000_000_000
    limit.tv_sec += Int(nanoseconds / 1_000_000_000) + Int(total / 1_000_000_000)
    limit.tv_nsec = Int(total % 1_000_000_000)
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !isOpen {
      if pthread_cond_timedwait(condition, mutex, &limit) == ETIMEDOUT { return isOpen }
    }
    return true
  }
}
