import Bus
import Counters
import Devices
import EventLoop
import GuestMemory
import Synchronization

/// A machine without a CPU: guest memory, a bus, PCI and an event loop whose clock the test moves.
///
/// A test plays the driver: it writes registers by literal address and stores rings in memory by literal offset.
package final class DeviceBench: Sendable {
  package let memory: GuestMemory
  package let bus = Bus()
  package let bridge = PCIHostBridge()
  package let clock = VirtualClock()
  package let loop: EventLoop
  package let counters = Counters(owner: "device")
  /// The interrupt line of the device under test.
  package let line = RecordedLine()

  package init(memorySize: Int = 16 << 20) throws {
    memory = try GuestMemory(size: memorySize)
    loop = try EventLoop(name: "test", clock: clock)
    bridge.attach(to: bus)
  }

  /// Devices and event loop refer to each other until a device is detached.
  deinit {
    for (_, _, function) in bridge.functions {
      (function as? any Device)?.detach()
      function.unplug()
    }
    bus.removeAll()
  }

  /// Plugs `function` in as device 4 with all spaces and bus mastering on, BAR n at 0xE000_0000 + n MiB or port
  /// 0xC000 + 0x100 n.
  package func plug(_ function: PCIFunction, number: Int = 0) {
    bridge.plug(function, device: 4, function: number)
    function.attach(to: bus, line: line, interruptLine: 11)
    for (index, bar) in function.baseAddresses.enumerated() {
      guard let bar else { continue }
      function.assign(
        bar: index, to: bar.kind == .port ? 0xC000 + 0x100 * UInt32(index) : 0xE000_0000 + UInt32(index) << 20)
    }
    function.writeConfiguration(0x04, 0x0007, width: 2)
  }

  /// Runs the event loop until nothing more is due.
  package func settle() { while loop.runOnce() {} }

  /// Moves time forward by `nanoseconds` and runs handlers that became due.
  package func advance(by nanoseconds: UInt64) {
    clock.advance(by: nanoseconds)
    settle()
  }

  package func read32(_ address: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: bus.read(.memory, address, width: 4)) }
  package func write32(_ address: UInt64, _ value: UInt32) { bus.write(.memory, address, width: 4, UInt64(value)) }
  package func inb(_ port: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: bus.read(.port, port, width: 1)) }
  package func inw(_ port: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: bus.read(.port, port, width: 2)) }
  package func inl(_ port: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: bus.read(.port, port, width: 4)) }
  package func outb(_ port: UInt64, _ value: UInt8) { bus.write(.port, port, width: 1, UInt64(value)) }
  package func outw(_ port: UInt64, _ value: UInt16) { bus.write(.port, port, width: 2, UInt64(value)) }
  package func outl(_ port: UInt64, _ value: UInt32) { bus.write(.port, port, width: 4, UInt64(value)) }

  /// The `count` bytes of guest memory at `address`.
  package func bytes(at address: UInt64, count: Int) -> [UInt8] {
    memory.slice(at: address, count: count).map { Array($0) } ?? []
  }

  package func store(_ bytes: [UInt8], at address: UInt64) {
    bytes.withUnsafeBytes { _ = memory.write($0, at: address) }
  }
}

/// An interrupt line that records every change of its level.
package final class RecordedLine: InterruptLine {
  private let state = Mutex<[Bool]>([])
  package init() {
    // A test that counts a device's allocations must not count these.
    state.withLock { $0.reserveCapacity(8192) }
  }
  package func set(asserted: Bool) { state.withLock { if ($0.last ?? false) != asserted { $0.append(asserted) } } }
  /// The levels it changed to, in order. It starts low.
  package var changes: [Bool] { state.withLock { $0 } }
  package var isAsserted: Bool { changes.last ?? false }
}

/// A message router that records routes and sent messages.
package final class RecordedMessages: MessageRouter {
  private struct State {
    var routes: [Int: MSIXMessage] = [:]
    var signalled: [Int] = []
  }
  private let state = Mutex(State())
  package init() {}
  package func route(vector: Int, message: MSIXMessage?) { state.withLock { $0.routes[vector] = message } }
  package func signal(vector: Int) { state.withLock { $0.signalled.append(vector) } }
  package var routes: [Int: MSIXMessage] { state.withLock { $0.routes } }
  package var signalled: [Int] { state.withLock { $0.signalled } }
}
