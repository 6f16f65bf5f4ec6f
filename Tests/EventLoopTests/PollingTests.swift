import Failures
import Synchronization
import TestSupport
import Testing
import Threads

@testable import EventLoop

/// A source that records the loop's calls, and has work when a test says so.
private final class TestSource: PolledSource {
  enum Call { case disarm, serve, arm }
  private let calls = Mutex<[Call]>([])
  let work = Atomic(0)
  /// Work that arrives between the last check and the moment at which signals work again.
  let lateWork = Atomic(0)
  let checks = Atomic(0)

  var all: [Call] { calls.withLock { $0 } }
  private func add(_ call: Call) { calls.withLock { $0.append(call) } }

  func check() -> Bool {
    checks.add(1, ordering: .relaxed)
    return work.load(ordering: .acquiring) > 0
  }
  func serve() {
    work.store(0, ordering: .relaxed)
    add(.serve)
  }
  func arm() -> Bool {
    add(.arm)
    return lateWork.exchange(0, ordering: .relaxed) > 0
  }
  func disarm() { add(.disarm) }
}

@Suite("How long the loop polls")
struct PollBudgetTests {
  @Test("the budget grows with each short sleep, up to its limit")
  func grows() {
    var budget = PollBudget()
    budget.limit = 20_000
    var steps: [UInt64] = []
    for _ in 0..<5 {
      budget.waited(19_999, now: 0)
      steps.append(budget.nanoseconds)
    }
    #expect(steps == [4_000, 8_000, 16_000, 20_000, 20_000])
    budget.waited(10_000, now: 0)
    #expect(budget.nanoseconds == 20_000, "polling found this work: the budget is right")
  }

  @Test("a sleep longer than the limit ends polling, and a limit of zero forbids it")
  func ends() {
    var budget = PollBudget()
    budget.waited(1, now: 0)
    #expect(budget.nanoseconds == 0)
    budget.limit = 20_000
    budget.waited(5_000, now: 0)
    budget.waited(20_001, now: 0)
    #expect(budget.nanoseconds == 0)
    budget.waited(5_000, now: 0)
    budget.limit = 1_000
    #expect(budget.nanoseconds == 1_000)
    budget.limit = 0
    #expect(budget.nanoseconds == 0)
  }

  @Test("after another thread took the processor the loop does not poll for a while")
  func backsOff() {
    var budget = PollBudget()
    budget.limit = 20_000
    budget.waited(5_000, now: 0)
    budget.preempted(now: 1_000)
    #expect(budget.nanoseconds == 0)
    budget.waited(5_000, now: 1_000 + PollBudget.backOff - 1)
    #expect(budget.nanoseconds == 0)
    budget.waited(5_000, now: 1_000 + PollBudget.backOff)
    #expect(budget.nanoseconds == 4_000)
  }
}

@Suite("Polled sources", .timeLimit(.minutes(10)))
struct PollingTests {
  private let source = TestSource()

  /// A loop without a thread that polls for up to `limit` nanoseconds from the first turn on.
  private func makeLoop(limit: UInt64 = 20_000) throws -> EventLoop {
    let loop = try EventLoop()
    loop.add(source)
    loop.beginPolling(limit: limit)
    return loop
  }

  @Test("a loop whose limit is zero neither checks nor disarms a source")
  func off() throws {
    let loop = try EventLoop()
    loop.add(source)
    #expect(!loop.runOnce(timeout: 1_000_000))
    #expect(source.checks.load(ordering: .relaxed) == 0)
    #expect(source.all == [])
  }

  @Test("the loop disarms, serves what it finds, and arms only before it sleeps")
  func order() throws {
    let loop = try makeLoop()
    source.work.store(1, ordering: .releasing)
    #expect(loop.runOnce(timeout: 1_000_000))
    #expect(source.all == [.disarm, .serve], "it goes on polling")
    source.work.store(1, ordering: .releasing)
    #expect(loop.runOnce(timeout: 1_000_000))
    #expect(source.all == [.disarm, .serve, .serve])
    #expect(!loop.runOnce(timeout: 1_000_000))
    #expect(source.all == [.disarm, .serve, .serve, .arm])
  }

  @Test("the loop serves work that arrived as it armed, instead of sleeping")
  func late() throws {
    let loop = try makeLoop()
    source.lateWork.store(1, ordering: .relaxed)
    #expect(loop.runOnce(timeout: nil), "without the work this would sleep for ever")
    #expect(source.all == [.disarm, .arm, .serve])
  }

  @Test("a source that always has work leaves other handlers their turn")
  func fairness() throws {
    final class Endless: PolledSource {
      let served = Atomic(0)
      func check() -> Bool { true }
      func serve() { served.add(1, ordering: .relaxed) }
      func arm() -> Bool { false }
      func disarm() {}
    }
    let loop = try makeLoop()
    let endless = Endless()
    loop.add(endless)
    let event = try EventDescriptor()
    let handled = Latch()
    _ = try loop.watch(event) { handled.open() }
    event.signal()
    #expect(loop.runOnce(timeout: nil))
    handled.wait()
    let posted = Latch()
    loop.post { posted.open() }
    #expect(loop.runOnce(timeout: nil))
    posted.wait()
    #expect(endless.served.load(ordering: .relaxed) > 0)
  }

  @Test("a source that was removed is not called again")
  func removal() throws {
    let loop = try makeLoop()
    loop.remove(source)
    source.work.store(1, ordering: .relaxed)
    #expect(!loop.runOnce(timeout: 1_000_000))
    #expect(source.all == [])
  }

  @Test("a source that posted work removes is not called again in the same turn")
  func removalWhilePolling() throws {
    final class Remover: PolledSource {
      let other: TestSource
      unowned let loop: EventLoop
      let hasWork = Atomic(true)
      init(_ other: TestSource, _ loop: EventLoop) { (self.other, self.loop) = (other, loop) }
      func check() -> Bool { hasWork.load(ordering: .relaxed) }
      func serve() {
        hasWork.store(false, ordering: .relaxed)
        loop.post { [self] in
          loop.remove(other)
          other.work.store(1, ordering: .relaxed)
        }
      }
      func arm() -> Bool { false }
      func disarm() {}
    }
    let loop = try makeLoop(limit: 1_000_000)
    loop.add(Remover(source, loop))
    #expect(loop.runOnce(timeout: 1_000_000))
    _ = loop.runOnce(timeout: 1_000_000)
    #expect(source.all == [.disarm])
  }

  @Test("a descriptor is handled while the loop polls, long before its budget ends")
  func descriptors() throws {
    let loop = try makeLoop(limit: 1_000_000_000)
    let event = try EventDescriptor()
    let handled = Latch()
    _ = try loop.watch(event) { handled.open() }
    event.signal()
    #expect(loop.runOnce(timeout: nil))
    #expect(handled.wait(nanoseconds: 0))
    #expect(source.all == [.disarm], "it did not stop to poll")
  }

  @Test("a loop that ends leaves its sources armed")
  func end() throws {
    let loop = try makeLoop()
    source.work.store(1, ordering: .releasing)
    loop.start()
    while source.work.load(ordering: .acquiring) > 0 {}
    loop.stop()
    #expect(source.all.last == .arm)
  }

  @Test("no post and no timer is missed while the loop goes to sleep and wakes", arguments: [0, 50_000] as [UInt64])
  func wakeUps(limit: UInt64) throws {
    let loop = try EventLoop()
    loop.add(source)
    loop.pollLimit = limit
    loop.start()
    defer { loop.stop() }
    for round in 0..<20_000 {
      let done = Latch()
      if round % 4 == 0 {
        let timer = loop.makeTimer { done.open() }
        timer.set(after: 0)
        done.wait()
        loop.remove(timer)
      } else {
        loop.post { done.open() }
        done.wait()
      }
    }
  }
}
