import Bus
import EventLoop
import Synchronization
import TestSupport
import Testing
import Threads

@Suite("MSI-X while a route changes", .timeLimit(.minutes(10)))
struct MSIXRoutingTests {
  /// A router that is slow, as KVM is with a new table.
  private final class SlowRouter: MessageRouter {
    let isRouting = Latch()
    let mayEnd = Latch()
    private let state = Mutex((routes: 0, signalled: [Int]()))
    var routes: Int { state.withLock { $0.routes } }
    var signalled: [Int] { state.withLock { $0.signalled } }

    func route(vector: Int, message: MSIXMessage?) {
      state.withLock { $0.routes += 1 }
      guard message?.data == 0x42 else { return }
      isRouting.open()
      mayEnd.wait()
    }

    func signal(vector: Int) { state.withLock { $0.signalled.append(vector) } }
  }

  private func table(_ router: any MessageRouter) -> MSIXTable {
    let table = MSIXTable(vectorCount: 2)
    table.connect(router)
    for vector in 0..<2 {
      table.writeTable(16 * vector, width: 4, 0xFEE0_0000)
      table.writeTable(16 * vector + 8, width: 4, 0x40)
      table.writeTable(16 * vector + 12, width: 4, 0)
    }
    table.setControl(0x8000)
    return table
  }

  @Test("the loop does not wait: it sends other vectors, and the changing one is pending until its route is set")
  func change() throws {
    let router = SlowRouter()
    let table = table(router)
    let guest = BackgroundThread { table.writeTable(8, width: 4, 0x42) }
    guest.start()
    router.isRouting.wait()
    let isSent = Latch()
    let loop = BackgroundThread {
      table.signal(1)
      table.signal(0)
      isSent.open()
    }
    loop.start()
    let waits = !isSent.wait(nanoseconds: 10_000_000_000)
    #expect(!waits)
    if !waits {
      #expect(router.signalled == [1])
      #expect(table.readPending(0, width: 8) == 1)
    }
    router.mayEnd.open()
    loop.join()
    guest.join()
    #expect(router.signalled == [1, 0])
    #expect(table.readPending(0, width: 8) == 0)
  }

  @Test("an unchanged message is not routed again")
  func unchanged() {
    let router = SlowRouter()
    let table = table(router)
    let before = router.routes
    table.writeTable(8, width: 4, 0x40)
    table.setControl(0x8000)
    #expect(router.routes == before)
  }
}
