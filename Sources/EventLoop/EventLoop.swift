import CLinux
import Counters
import Failures
import Glibc
import Synchronization
import Threads

/// The I/O thread: waits for descriptors and timers and runs their handlers, one at a time.
///
/// Handlers are added and removed on any thread and always run on the loop's. A test may have no thread at all and
/// call `runOnce` itself, with a virtual clock.
// Unchecked: only the loop's thread uses `polling`.
public final class EventLoop: @unchecked Sendable {
  struct Watch {
    let descriptor: Int32
    let handler: @Sendable () -> Void
  }
  /// Posted work. An array of bare functions would allocate for each: a generic type wants them in another form.
  struct Posted {
    let run: @Sendable () -> Void
  }
  struct State {
    var watches: [UInt64: Watch] = [:]
    var nextKey: UInt64 = 1
    var posted: [Posted] = []
    var timers: [LoopTimer] = []
    var sources: [any PolledSource] = []
  }

  /// Names a watch, for `remove`.
  public struct WatchKey: Sendable { fileprivate let value: UInt64 }

  public let counters: Counters
  /// The clock of the timers, in nanoseconds.
  public let clock: any LoopClock
  private let epoll: Int32
  private let wakeUp: EventDescriptor
  let state = Guarded(.loop, State())
  /// The loop sleeps or is about to, so a thread that adds work must signal. Set while `state` is locked.
  private let isAsleep = Atomic(false)
  /// Whether `posted` has work. Read without the lock.
  let hasPosted = Atomic(false)
  let longestPoll = Atomic<UInt64>(0)
  var polling = PollingState()
  /// An empty array with storage for posted work. Only for the thread that runs the loop.
  private var spare: [Posted] = []
  private let running = Atomic(false)
  private let thread = Guarded<pthread_t?>(.leaf, nil)
  /// The first work of the thread.
  private let preparing = Guarded<(@Sendable () -> Void)?>(.leaf, nil)
  private let endedThreadTime = Atomic<UInt64>(0)
  /// Whether epoll_pwait2 works, which waits by the nanosecond. It needs Linux 5.11, and seccomp may forbid it.
  private let hasPreciseWait: Atomic<Bool>

  /// - Parameter hasPreciseWait: false to wait by the millisecond, as on kernels that cannot do better.
  public init(
    name: String = "io", clock: any LoopClock = MonotonicClock(), hasPreciseWait: Bool = true
  ) throws(Failure) {
    self.hasPreciseWait = Atomic(hasPreciseWait)
    counters = Counters(owner: name)
    self.clock = clock
    epoll = try systemCall("create an epoll descriptor") { epoll_create1(Int32(EPOLL_CLOEXEC)) }
    wakeUp = try EventDescriptor()
    try addToEpoll(wakeUp.descriptor, key: 0, events: UInt32(EPOLLIN.rawValue))
  }

  deinit { close(epoll) }

  private func addToEpoll(_ descriptor: Int32, key: UInt64, events: UInt32) throws(Failure) {
    var event = epoll_event(events: events, data: epoll_data_t(u64: key))
    try systemCall("watch descriptor \(descriptor)") { epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) }
  }

  /// Calls `handler` whenever `descriptor` is readable (level-triggered).
  public func watch(_ descriptor: Int32, _ handler: @escaping @Sendable () -> Void) throws(Failure) -> WatchKey {
    let key = state.withLock { state in
      let key = state.nextKey
      state.nextKey += 1
      state.watches[key] = Watch(descriptor: descriptor, handler: handler)
      return key
    }
    do {
      try addToEpoll(descriptor, key: key, events: UInt32(EPOLLIN.rawValue))
    } catch {
      state.withLock { _ = $0.watches.removeValue(forKey: key) }
      throw error
    }
    return WatchKey(value: key)
  }

  /// Calls `handler` each time `event` was signalled, after resetting it to zero.
  public func watch(_ event: EventDescriptor, _ handler: @escaping @Sendable () -> Void) throws(Failure) -> WatchKey {
    try watch(event.descriptor) { if event.drain() { handler() } }
  }

  /// Stops a watch. Its handler may still run on the loop's thread when this returns, but it does not run again.
  public func remove(_ key: WatchKey) {
    let watch = state.withLock { $0.watches.removeValue(forKey: key.value) }
    guard let watch else { return }
    epoll_ctl(epoll, EPOLL_CTL_DEL, watch.descriptor, nil)
  }

  /// Runs `work` soon on the loop's thread, after what was posted before it.
  public func post(_ work: @escaping @Sendable () -> Void) {
    let mustWake = state.withLock { state in
      state.posted.append(Posted(run: work))
      hasPosted.store(true, ordering: .relaxed)
      return isAsleep.exchange(false, ordering: .relaxed)
    }
    if mustWake { wakeUp.signal() }
  }

  /// A timer of this loop that calls `handler` when it is due.
  public func makeTimer(_ handler: @escaping @Sendable () -> Void) -> LoopTimer {
    let timer = LoopTimer(loop: self, handler: handler)
    state.withLock { $0.timers.append(timer) }
    return timer
  }

  public func remove(_ timer: LoopTimer) { state.withLock { $0.timers.removeAll { $0 === timer } } }

  func timersChanged() {
    if state.withLock({ _ in isAsleep.exchange(false, ordering: .relaxed) }) { wakeUp.signal() }
  }

  /// Whether the loop has its own thread. If not, the caller of `runOnce` runs it.
  public var hasThread: Bool { running.load(ordering: .acquiring) }

  /// Whether the calling thread is the loop's.
  public var isOnLoop: Bool { thread.withLock { $0.map { pthread_equal($0, pthread_self()) != 0 } ?? false } }

  /// Waits at most `timeout` nanoseconds (nil: until something happens), then runs what is due.
  ///
  /// - Returns: whether anything ran.
  @discardableResult
  public func runOnce(timeout: UInt64? = 0) -> Bool {
    let hasSources = state.withLock { !$0.sources.isEmpty }
    polling.budget.limit = hasSources && timeout != 0 ? pollLimit : 0
    let start = polling.budget.limit > 0 ? clinux_monotonic_ns() : 0
    var (ran, isOver) = polling.budget.nanoseconds > 0 ? poll() : (false, true)
    var wait = prepareToSleep(timeout: ran || !isOver ? 0 : timeout)
    // Without a budget, nobody would look at the sources before the next sleep.
    if wait != 0 || polling.budget.nanoseconds == 0, arm() {
      wait = 0
      ran = true
    }
    ran = waitAndDispatch(nanoseconds: wait, since: start) || ran
    ran = runPosted() || ran
    let now = clock.now
    let expired = state.withLock { $0.timers.filter { ($0.deadline ?? .max) <= now } }
    for timer in expired where timer.takeIfDue(now: now) {
      timer.handler()
      ran = true
    }
    return ran
  }

  /// Runs what was posted. Returns whether there was any.
  func runPosted() -> Bool {
    guard hasPosted.load(ordering: .relaxed) else { return false }
    // Exchanges two arrays, so that neither gives up its storage. Work may run the loop, which then finds `spare` empty.
    var batch = spare
    spare = []
    state.withLock { state in
      swap(&state.posted, &batch)
      hasPosted.store(false, ordering: .relaxed)
    }
    for index in batch.indices { batch[index].run() }
    batch.removeAll(keepingCapacity: true)
    spare = batch
    return true
  }

  /// Returns how long the loop may sleep. From here on, a thread that posts work or sets a timer wakes the loop.
  private func prepareToSleep(timeout: UInt64?) -> UInt64? {
    state.withLock { state in
      guard timeout != 0, state.posted.isEmpty else { return 0 }
      var wait = timeout
      if let due = state.timers.lazy.compactMap(\.deadline).min() {
        let now = clock.now
        wait = min(wait ?? .max, due > now ? due - now : 0)
      }
      if wait != 0 { isAsleep.store(true, ordering: .relaxed) }
      return wait
    }
  }

  private func waitForEvents(_ events: UnsafeMutableBufferPointer<epoll_event>, nanoseconds wait: UInt64?) -> Int32 {
    let limit = Int32(events.count)
    guard let wait else { return epoll_wait(epoll, events.baseAddress, limit, -1) }
    if hasPreciseWait.load(ordering: .relaxed) {
      var time = timespec(
        tv_sec: Int(min(wait / 1_000_000_000, 1_000_000)), tv_nsec: Int(wait % 1_000_000_000))
      let count = epoll_pwait2(epoll, events.baseAddress, limit, &time, nil)
      if count >= 0 || errno == EINTR { return count }
      hasPreciseWait.store(false, ordering: .relaxed)
    }
    // Round up. Otherwise the loop would spin for the last millisecond before a timer is due.
    return epoll_wait(
      epoll, events.baseAddress, limit, Int32(min(wait / 1_000_000 + (wait % 1_000_000 > 0 ? 1 : 0), 1_000_000)))
  }

  /// Runs the handlers of the descriptors that are readable now. Returns whether there were any.
  func dispatch() -> Bool { waitAndDispatch(nanoseconds: 0, since: 0) }

  /// - Parameter start: when the loop ran out of work, if it has sources to poll.
  private func waitAndDispatch(nanoseconds wait: UInt64?, since start: UInt64) -> Bool {
    var ran = false
    withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 32) { events in
      let count = waitForEvents(events, nanoseconds: wait)
      isAsleep.store(false, ordering: .relaxed)
      if polling.budget.limit > 0, wait != 0 {
        let now = clinux_monotonic_ns()
        polling.budget.waited(now - start, now: now)
      }
      guard count > 0 else { return }
      for index in 0..<Int(count) {
        let key = events[index].data.u64
        if key == 0 {
          wakeUp.drain()
        } else if let watch = state.withLock({ $0.watches[key] }) {
          watch.handler()
          ran = true
        }
      }
    }
    return ran
  }

  /// Starts the loop on a thread of its own, which runs `preparing` before anything else.
  public func start(preparing: (@Sendable () -> Void)? = nil) {
    guard !running.exchange(true, ordering: .sequentiallyConsistent) else { return }
    self.preparing.withLock { $0 = preparing }
    let box = Unmanaged.passRetained(self)
    var handle = pthread_t()
    requireThread(
      pthread_create(
        &handle, nil,
        { argument in
          let loop = Unmanaged<EventLoop>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue()
          // Set before any handler runs: a handler may call `sync`, which asks for the thread.
          loop.thread.withLock { $0 = pthread_self() }
          clinux_name_thread(loop.counters.owner)
          clinux_sleep_precisely()
          loop.preparing.withLock { $0.take() }?()
          while loop.running.load(ordering: .acquiring) { loop.runOnce(timeout: nil) }
          _ = loop.arm()
          loop.endedThreadTime.add(clinux_thread_cpu_ns(), ordering: .relaxed)
          return nil
        }, box.toOpaque()))
    thread.withLock { $0 = handle }
  }

  /// Ends the thread and waits for it. Posted work that has not run stays posted.
  public func stop() {
    guard running.exchange(false, ordering: .sequentiallyConsistent) else { return }
    wakeUp.signal()
    let handle = thread.withLock { handle in
      defer { handle = nil }
      return handle
    }
    if let handle { pthread_join(handle, nil) }
  }

  /// Processor time the loop's thread has used, in nanoseconds.
  public var cpuTime: UInt64 {
    let running = thread.withLock { $0.map { clinux_cpu_ns_of($0) } ?? 0 }
    return running + endedThreadTime.load(ordering: .relaxed)
  }

  /// Runs `work` on the loop's thread, or here when the loop has none, and waits until it has run.
  public func sync(_ work: @escaping @Sendable () -> Void) {
    guard running.load(ordering: .acquiring), !isOnLoop else { return work() }
    let done = Latch()
    post {
      work()
      done.open()
    }
    done.wait()
  }
}
