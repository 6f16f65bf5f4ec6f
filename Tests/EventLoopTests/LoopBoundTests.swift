import EventLoop
import Foundation
import Testing

@Suite("State that belongs to the loop's thread")
struct LoopBoundTests {
  @Test("the loop's handlers may access it, and so may a thread that runs a loop itself")
  func onLoop() throws {
    let loop = try EventLoop(name: "test")
    let count = LoopBound(loop, 0)
    count.value += 1
    loop.start()
    loop.sync { count.value += 1 }
    loop.stop()
    #expect(count.value == 2)
  }

  #if DEBUG
    @Test("an access from another thread traps in a debug build")
    func offLoop() async {
      await #expect(processExitsWith: .failure) {
        let loop = try EventLoop(name: "test")
        let count = LoopBound(loop, 0)
        loop.start()
        loop.sync {}
        count.value += 1
      }
    }

    @Test("assertOnLoop traps in a debug build on another thread")
    func assertOffLoop() async {
      await #expect(processExitsWith: .failure) {
        let loop = try EventLoop(name: "test")
        loop.start()
        loop.sync { loop.assertOnLoop() }
        loop.assertOnLoop()
      }
    }
  #endif
}
