import CLinux

/// Where a loop stands with its polled sources. Only the loop's thread uses it.
struct PollingState {
  var budget = PollBudget()
  /// The sources are disarmed.
  var isPolling = false
  /// When the budget ends, unless there is work until then.
  var end: UInt64 = 0
}

extension EventLoop {
  /// A limit that suits a loop with a processor to itself. It covers one disk request and the guest's answer to it where
  /// an exit takes 45 us; QEMU's `poll-max-ns`, 32 768, does not.
  public static let usualPollLimit: UInt64 = 100_000

  /// A gap between two looks at the clock, with nothing done in between, that shows that another thread had the processor.
  /// The kernel's own threads take less.
  static let preemption: UInt64 = 100_000

  /// The longest that the loop polls before it looks at its timers, in nanoseconds.
  static let pollTurn: UInt64 = 100_000
  /// How often it looks at its descriptors meanwhile.
  static let descriptorPause: UInt64 = 10_000

  /// Polls `source` as long as the budget allows, before each sleep.
  public func add(_ source: any PolledSource) { state.withLock { $0.sources.append(source) } }

  /// Does not poll `source` any more. A call of it may be under way on the loop's thread as this returns.
  public func remove(_ source: any PolledSource) { state.withLock { $0.sources.removeAll { $0 === source } } }

  /// The most nanoseconds that the loop polls its sources before it sleeps. Zero, which it is at first: it never polls.
  public var pollLimit: UInt64 {
    get { longestPoll.load(ordering: .relaxed) }
    set { longestPoll.store(newValue, ordering: .relaxed) }
  }

  /// Polls and serves the sources until the budget has passed without work, or until a turn is over.
  ///
  /// - Returns: whether anything ran, and whether the budget is over.
  func poll() -> (ran: Bool, isOver: Bool) {
    var sources = state.withLock { $0.sources }
    let budget = polling.budget.nanoseconds
    var now = clinux_monotonic_ns()
    if !polling.isPolling {
      polling.isPolling = true
      polling.end = now + budget
      for source in sources { source.disarm() }
    }
    let turnEnd = now + Self.pollTurn
    var nextLook = now + Self.descriptorPause
    var ran = false
    repeat {
      var found = false
      for source in sources where source.check() {
        source.serve()
        found = true
      }
      if runPosted() {
        found = true
        // A device may have been detached.
        sources = state.withLock { $0.sources }
      }
      if now >= nextLook {
        nextLook = now + Self.descriptorPause
        if dispatch() { found = true }
      }
      clinux_pause()
      let before = now
      now = clinux_monotonic_ns()
      if found {
        ran = true
        polling.end = now + budget
      } else if now - before > Self.preemption {
        polling.budget.preempted(now: now)
        return (ran, true)
      }
    } while now < polling.end && now < turnEnd
    return (ran, now >= polling.end)
  }

  /// Stops polling: from now on the other sides must signal.
  ///
  /// - Returns: whether it served work that arrived just before.
  func arm() -> Bool {
    guard polling.isPolling else { return false }
    polling.isPolling = false
    var ran = false
    for source in state.withLock({ $0.sources }) where source.arm() {
      source.serve()
      ran = true
    }
    return ran
  }
}
