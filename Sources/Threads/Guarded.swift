import CLinux
import Synchronization

/// State that several threads share, accessible only with its lock held.
///
/// Debug builds check the lock's rank against the locks that the thread holds (`LockRank`). They also tell the thread
/// sanitizer when a thread takes or releases the lock, because it does not see `Synchronization.Mutex`. Release builds
/// have only the mutex.
public struct Guarded<State: ~Copyable>: ~Copyable, Sendable {
  @usableFromInline let mutex: Mutex<State>
  #if DEBUG
    @usableFromInline let check: LockCheck
  #endif

  @inlinable
  public init(_ rank: LockRank, _ state: consuming sending State) {
    mutex = Mutex(state)
    #if DEBUG
      check = LockCheck(rank)
    #endif
  }

  /// Runs `body` with the lock held. The lock is not recursive.
  @inlinable
  public borrowing func withLock<Result: ~Copyable, Problem: Error>(
    _ body: (inout sending State) throws(Problem) -> sending Result
  ) throws(Problem) -> sending Result {
    #if DEBUG
      check.willLock()
      defer { check.didUnlock() }
      return try mutex.withLock { (state: inout sending State) throws(Problem) -> sending Result in
        check.didLock()
        defer { check.willUnlock() }
        return try body(&state)
      }
    #else
      return try mutex.withLock(body)
    #endif
  }

  /// Traps in a debug build unless this thread holds the lock.
  @inlinable
  public borrowing func assertHeld() {
    #if DEBUG
      precondition(check.isHeld, "the thread does not hold this lock of rank \(check.rank)")
    #endif
  }
}

#if DEBUG
  /// The checked properties of a lock: its rank, and an address by which ThreadSanitizer identifies it.
  @usableFromInline
  final class LockCheck: Sendable {
    @usableFromInline let rank: LockRank

    @usableFromInline init(_ rank: LockRank) { self.rank = rank }

    private var address: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    @usableFromInline var isHeld: Bool { clinux_holds_lock(address) != 0 }

    /// Called before waiting for the lock, so that an order that would deadlock is reported.
    @usableFromInline func willLock() {
      let highest = clinux_highest_held_rank()
      precondition(
        highest < Int32(rank.rawValue),
        "the thread takes a lock of rank \(rank) while it holds one of rank \(LockRank.allCases[Int(highest)])")
      clinux_push_held_lock(address, rank.rawValue)
    }

    @usableFromInline func didLock() { clinux_sanitizer_acquire(address) }
    @usableFromInline func willUnlock() { clinux_sanitizer_release(address) }
    @usableFromInline func didUnlock() { clinux_pop_held_lock() }
  }
#endif
