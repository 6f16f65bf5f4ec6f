import CLinux
import Synchronization

/// State that several threads use, reachable only while its lock is held.
///
/// Debug builds check the lock's rank against those that the thread holds (`LockRank`), and tell ThreadSanitizer when the
/// lock changes hands, since the sanitizer does not see `Synchronization.Mutex`. Release builds are the mutex alone.
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
  /// A lock as the checks see it: its rank, and an address that ThreadSanitizer knows it by.
  @usableFromInline
  final class LockCheck: Sendable {
    @usableFromInline let rank: LockRank

    @usableFromInline init(_ rank: LockRank) { self.rank = rank }

    private var address: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    @usableFromInline var isHeld: Bool { clinux_holds_lock(address) != 0 }

    /// Before it waits: a wrong order that would deadlock is reported too.
    @usableFromInline func willLock() {
      let highest = clinux_highest_held_rank()
      precondition(
        highest < Int32(rank.rawValue),
        "a lock of rank \(rank) is taken while one of rank \(LockRank.allCases[Int(highest)]) is held")
      clinux_push_held_lock(address, rank.rawValue)
    }

    @usableFromInline func didLock() { clinux_sanitizer_acquire(address) }
    @usableFromInline func willUnlock() { clinux_sanitizer_release(address) }
    @usableFromInline func didUnlock() { clinux_pop_held_lock() }
  }
#endif
