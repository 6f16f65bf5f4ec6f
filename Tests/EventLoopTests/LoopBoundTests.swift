import EventLoop
import Foundation
import Testing

@Suite("State that belongs to the loop's thread")
struct LoopBoundTests {
  @Test("the loop's handlers reach it, and so does whoever runs a loop without a thread")
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
    @Test("another thread that reaches it ends a debug build")
    func offLoop() async {
      await #expect(processExitsWith: .failure) {
        let loop = try EventLoop(name: "test")
        let count = LoopBound(loop, 0)
        loop.start()
        loop.sync {}
        count.value += 1
      }
    }

    @Test("assertOnLoop ends a debug build on another thread")
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
