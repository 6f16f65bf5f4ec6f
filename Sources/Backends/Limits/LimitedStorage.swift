import DequeModule
import EventLoop
import Glibc

/// A disk whose requests and bytes a second are limited, so that its guest leaves the loop and the host's disk to others.
///
/// A request over the limit waits here, behind those before it. The device owns a bounded number of requests, so no more
/// than these wait. Used on the disk's loop.
// Unchecked: only the loop's thread uses its variables; `drain` and `cancel` go to the loop.
public final class LimitedStorage: Storage, @unchecked Sendable {
  public var sectorCount: UInt64 { storage.sectorCount }
  public var isReadOnly: Bool { storage.isReadOnly }
  public var hasVolatileCache: Bool { storage.hasVolatileCache }
  public var supportsDiscard: Bool { storage.supportsDiscard }
  public var supportsWriteZeroes: Bool { storage.supportsWriteZeroes }
  public var kind: String { storage.kind }

  private let storage: any Storage
  private let loop: EventLoop
  private var limiter: RateLimiter
  private var waiting: Deque<StorageRequest> = []
  private var timer: LoopTimer?

  /// - Parameters:
  ///   - operations: requests a second; nil for any number.
  ///   - bytes: bytes a second that requests transfer, discard or zero; nil for any number.
  public init(_ storage: any Storage, operations: UInt64?, bytes: UInt64?, loop: EventLoop) {
    self.storage = storage
    self.loop = loop
    limiter = RateLimiter(operations: operations, bytes: bytes)
    timer = loop.makeTimer { [weak self] in self?.timerElapsed() }
  }

  deinit { if let timer { loop.remove(timer) } }

  public func submit(_ request: StorageRequest) {
    waiting.append(request)
    release()
  }

  public func commit() { storage.commit() }

  /// Passes on what may begin now, and sets the timer for the rest.
  private func release() {
    while let request = waiting.first {
      let now = loop.clock.now
      let delay = limiter.delay(now: now)
      guard delay == 0 else {
        timer?.set(after: delay)
        return
      }
      waiting.removeFirst()
      // The client may submit the next request from `submit`, when this one ends there.
      limiter.take(storage.checkedRange(of: request)?.length ?? 0, now: now)
      storage.submit(request)
    }
  }

  private func timerElapsed() {
    release()
    storage.commit()
  }

  /// Passes on all requests. The limit holds on average all the same: what follows pays for them.
  public func drain() {
    loop.sync { [self] in
      while let request = waiting.popFirst() {
        limiter.take(storage.checkedRange(of: request)?.length ?? 0, now: loop.clock.now)
        storage.submit(request)
      }
      storage.commit()
    }
    storage.drain()
  }

  public func cancel() {
    loop.sync { [self] in
      timer?.cancel()
      let unstarted = waiting
      waiting.removeAll()
      for request in unstarted { request.client?.completed(request, .failed(ECANCELED)) }
    }
    storage.cancel()
  }
}
