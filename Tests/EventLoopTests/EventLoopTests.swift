import Counters
import EventLoop
import Failures
import Synchronization
import Testing
import Threads

/// The actions of handlers, in order.
private final class Log: Sendable {
  private let entries = Mutex<[Int]>([])
  func add(_ entry: Int) { entries.withLock { $0.append(entry) } }
  var all: [Int] { entries.withLock { $0 } }
}

@Suite("The event loop")
struct EventLoopTests {
  private let log = Log()

  @Test("posted work runs in order; work that it posts runs in the next round")
  func posts() throws {
    let loop = try EventLoop()
    let log = log
    loop.post {
      log.add(1)
      loop.post { log.add(3) }
    }
    loop.post { log.add(2) }
    #expect(loop.runOnce())
    #expect(log.all == [1, 2])
    #expect(loop.runOnce())
    #expect(log.all == [1, 2, 3])
    #expect(!loop.runOnce())
  }

  @Test("timers run when the clock reaches them, once each time they are set")
  func timers() throws {
    let clock = VirtualClock()
    let loop = try EventLoop(clock: clock)
    let log = log
    let first = loop.makeTimer { log.add(1) }
    let second = loop.makeTimer { log.add(2) }
    first.set(after: 100)
    second.set(after: 50)
    #expect(!loop.runOnce())
    clock.advance(by: 49)
    #expect(!loop.runOnce())
    clock.advance(by: 1)
    #expect(loop.runOnce())
    #expect(log.all == [2])
    first.set(after: 10)
    #expect(first.deadline == 60)
    clock.advance(by: 10)
    loop.runOnce()
    #expect(log.all == [2, 1])
    clock.advance(by: 1000)
    #expect(!loop.runOnce(), "neither is set any more")
    first.set(after: 5)
    first.cancel()
    second.set(after: 5)
    loop.remove(second)
    clock.advance(by: 5)
    #expect(!loop.runOnce())
    first.set(after: .max)
    #expect(first.deadline == .max)
    #expect(!loop.runOnce())
  }

  @Test("a timer may set itself again from its handler")
  func periodic() throws {
    let clock = VirtualClock()
    let loop = try EventLoop(clock: clock)
    let log = log
    let boxed = Boxed<LoopTimer?>(nil)
    let timer = loop.makeTimer {
      log.add(0)
      boxed.set(after: 10)
    }
    boxed.value.withLock { $0 = timer }
    timer.set(after: 10)
    for _ in 0..<3 {
      clock.advance(by: 10)
      loop.runOnce()
    }
    #expect(log.all.count == 3)
  }

  @Test("an event's handler runs once for any number of signals")
  func events() throws {
    let loop = try EventLoop()
    let event = try EventDescriptor()
    let log = log
    let key = try loop.watch(event) { log.add(1) }
    event.signal()
    event.signal()
    #expect(loop.runOnce())
    #expect(!loop.runOnce())
    #expect(log.all == [1])
    event.signal()
    loop.remove(key)
    #expect(!loop.runOnce())
    #expect(log.all == [1])
    loop.remove(key)
    #expect(event.drain())
    #expect(!event.drain())
  }

  @Test("a watch that another handler removes in the same round does not run")
  func removalInRound() throws {
    let loop = try EventLoop()
    let log = log
    let events = [try EventDescriptor(), try EventDescriptor()]
    let boxed = Boxed<[EventLoop.WatchKey]>([])
    for (index, event) in events.enumerated() {
      let key = try loop.watch(event) {
        log.add(index)
        let all = boxed.value.withLock { $0 }
        for (other, key) in all.enumerated() where other != index { loop.remove(key) }
      }
      boxed.value.withLock { $0.append(key) }
    }
    for event in events { event.signal() }
    loop.runOnce()
    loop.runOnce()
    #expect(log.all.count == 1)
  }

  @Test("watching a descriptor twice, or one that is closed, is an error and leaves nothing behind")
  func wrongWatch() throws {
    let loop = try EventLoop()
    let event = try EventDescriptor()
    _ = try loop.watch(event) {}
    #expect(throws: Failure.self) { _ = try loop.watch(event) {} }
    #expect(throws: Failure.self) { _ = try loop.watch(-1) {} }
  }

  @Test("sync runs work in place without a thread or from a handler, and on the loop's thread otherwise")
  func sync() throws {
    let loop = try EventLoop()
    let log = log
    loop.sync { log.add(1) }
    #expect(log.all == [1])
    // Work posted before the thread starts may call sync at once.
    let done = Latch()
    loop.post {
      loop.sync { log.add(2) }
      done.open()
    }
    loop.start()
    #expect(done.wait(nanoseconds: 5_000_000_000))
    loop.sync { log.add(3) }
    #expect(log.all == [1, 2, 3])
    loop.stop()
    loop.sync { log.add(4) }
    #expect(log.all == [1, 2, 3, 4])
    loop.stop()
  }

  @Test("a running loop wakes for posts, signals and timers from other threads")
  func wakes() throws {
    let loop = try EventLoop()
    let event = try EventDescriptor()
    let latches = (0..<3).map { _ in Latch() }
    _ = try loop.watch(event) { latches[1].open() }
    let timer = loop.makeTimer { latches[2].open() }
    loop.start()
    loop.post { latches[0].open() }
    event.signal()
    timer.set(after: 1_000_000)
    for latch in latches { #expect(latch.wait(nanoseconds: 5_000_000_000)) }
    #expect(loop.cpuTime > 0)
    loop.stop()
    let used = loop.cpuTime
    #expect(used > 0)
    loop.start()
    loop.sync { latches[0].open() }
    loop.stop()
    #expect(loop.cpuTime >= used)
  }

  @Test("posts of several threads all run, each thread's in order")
  func manyPosters() throws {
    let loop = try EventLoop()
    let log = log
    loop.start()
    let posters = try (0..<4).map { _ in try EventLoop() }
    for (index, poster) in posters.enumerated() {
      poster.start()
      poster.post { for step in 0..<200 { loop.post { log.add(index * 1000 + step) } } }
    }
    for poster in posters { poster.sync {} }
    loop.sync {}
    loop.stop()
    for poster in posters { poster.stop() }
    for index in 0..<4 {
      #expect(log.all.filter { $0 / 1000 == index } == (0..<200).map { index * 1000 + $0 })
    }
  }
}

/// A value that closures share.
private final class Boxed<Value: Sendable>: Sendable {
  let value: Mutex<Value>
  init(_ value: Value) { self.value = Mutex(value) }
}
extension Boxed where Value == LoopTimer? {
  func set(after delay: UInt64) { value.withLock { $0 }?.set(after: delay) }
}

@Suite("Counters")
struct CountersTests {
  @Test("snapshots sum owners and subtract")
  func snapshots() {
    let (first, second) = (Counters(owner: "a"), Counters(owner: "b"))
    first.add(.exitsMMIO, 3)
    second.add(.exitsPortIO)
    let before = CounterSnapshot(summing: [first, second])
    #expect(before.exits == 4)
    second.add(.exitsHalt, 2)
    let after = CounterSnapshot(summing: [first, second])
    #expect(after.since(before)[.exitsHalt] == 2)
    #expect(after.since(before).exits == 2)
    #expect(CounterSnapshot().since(after)[.exitsHalt] == 0 &- 2, "wraps, never traps")
    #expect(Counter.badChain.name == "badChain")
  }

  @Test("if the kernel waits in whole milliseconds, a timer is never early and the loop does not spin")
  func millisecondWait() throws {
    let loop = try EventLoop(name: "test", hasPreciseWait: false)
    let fired = Flag()
    let timer = loop.makeTimer { fired.set() }
    let start = loop.clock.now
    timer.set(after: 2_300_000)
    var turns = 0
    while !fired.isSet, turns < 1000 {
      loop.runOnce(timeout: nil)
      turns += 1
    }
    #expect(loop.clock.now - start >= 2_300_000)
    #expect(turns <= 3)
  }
}

private final class Flag: Sendable {
  private let state = Atomic(false)
  var isSet: Bool { state.load(ordering: .relaxed) }
  func set() { state.store(true, ordering: .relaxed) }
}
