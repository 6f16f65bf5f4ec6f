import Testing

@testable import Threads

@Suite("State that a lock owns, and the lock order")
struct GuardedTests {
  @Test("locks may be taken in rising order of rank, and a thread without locks may start at any rank")
  func risingOrder() {
    let configuration = Guarded(.configuration, 1)
    let device = Guarded(.device, 2)
    let leaf = Guarded(.leaf, 3)
    for _ in 0..<2 {
      let sum = configuration.withLock { first in
        device.withLock { second in leaf.withLock { third in first + second + third } }
      }
      #expect(sum == 6)
    }
    #expect(device.withLock { $0 } == 2)
  }

  #if DEBUG
    @Test("taking a lower rank while holding a higher one traps in a debug build")
    func fallingOrder() async {
      await #expect(processExitsWith: .failure) {
        let configuration = Guarded(.configuration, ())
        let device = Guarded(.device, ())
        device.withLock { _ in configuration.withLock { _ in } }
      }
    }

    @Test("holding two locks of one rank, such as two devices', traps in a debug build")
    func sameRank() async {
      await #expect(processExitsWith: .failure) {
        let first = Guarded(.device, ())
        let second = Guarded(.device, ())
        first.withLock { _ in second.withLock { _ in } }
      }
    }

    @Test("assertHeld passes with the lock, and traps in a debug build without it")
    func assertHeld() async {
      let lock = Guarded(.device, ())
      lock.withLock { _ in lock.assertHeld() }
      await #expect(processExitsWith: .failure) {
        let lock = Guarded(.device, ())
        let other = Guarded(.device, ())
        other.withLock { _ in lock.assertHeld() }
      }
    }
  #endif

  @Test("an error releases the lock")
  func errors() {
    struct Refused: Error {}
    let lock = Guarded(.device, 0)
    for _ in 0..<2 {
      #expect(throws: Refused.self) {
        try lock.withLock { value throws(Refused) in
          value += 1
          throw Refused()
        }
      }
    }
    #expect(lock.withLock { $0 } == 2)
  }
}
