import Bus
import Counters
import Devices
import EventLoop
import GuestMemory
import Synchronization

/// A machine without a CPU: guest memory, a bus, PCI and an event loop whose time the test moves.
///
/// A test plays the driver: it writes registers by literal address and lays rings in memory by literal offset.
public final class DeviceBench: Sendable {
  public let memory: GuestMemory
  public let bus = Bus()
  public let bridge = PCIHostBridge()
  public let clock = VirtualClock()
  public let loop: EventLoop
  public let counters = Counters(owner: "device")
  /// The interrupt line of the device under test.
  public let line = RecordedLine()

  public init(memorySize: Int = 16 << 20) throws {
    memory = try GuestMemory(size: memorySize)
    loop = try EventLoop(name: "test", clock: clock)
    bridge.attach(to: bus)
  }

  /// Devices and event loop hold each other until a device is detached.
  deinit {
    for (_, _, function) in bridge.functions {
      (function as? any Device)?.detach()
      function.unplug()
    }
    bus.removeAll()
  }

  /// Plugs `function` in as device 4 with all spaces and bus mastering on, BAR n at 0xE000_0000 + n MiB or port
  /// 0xC000 + 0x100 n.
  public func plug(_ function: PCIFunction, number: Int = 0) {
    bridge.plug(function, device: 4, function: number)
    function.attach(to: bus, line: line, interruptLine: 11)
    for (index, bar) in function.baseAddresses.enumerated() {
      guard let bar else { continue }
      function.assign(
        bar: index, to: bar.kind == .port ? 0xC000 + 0x100 * UInt32(index) : 0xE000_0000 + UInt32(index) << 20)
    }
    function.writeConfiguration(0x04, 0x0007, width: 2)
  }

  /// Runs the event loop until it has nothing left to do now.
  public func settle() { while loop.runOnce() {} }

  /// Moves time forward by `nanoseconds` and runs what became due.
  public func advance(by nanoseconds: UInt64) {
    clock.advance(by: nanoseconds)
    settle()
  }

  public func read32(_ address: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: bus.read(.memory, address, width: 4)) }
  public func write32(_ address: UInt64, _ value: UInt32) { bus.write(.memory, address, width: 4, UInt64(value)) }
  public func inb(_ port: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: bus.read(.port, port, width: 1)) }
  public func inw(_ port: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: bus.read(.port, port, width: 2)) }
  public func inl(_ port: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: bus.read(.port, port, width: 4)) }
  public func outb(_ port: UInt64, _ value: UInt8) { bus.write(.port, port, width: 1, UInt64(value)) }
  public func outw(_ port: UInt64, _ value: UInt16) { bus.write(.port, port, width: 2, UInt64(value)) }
  public func outl(_ port: UInt64, _ value: UInt32) { bus.write(.port, port, width: 4, UInt64(value)) }

  /// The `count` bytes of guest memory at `address`.
  public func bytes(at address: UInt64, count: Int) -> [UInt8] {
    memory.slice(at: address, count: count).map { Array($0) } ?? []
  }

  public func store(_ bytes: [UInt8], at address: UInt64) {
    bytes.withUnsafeBytes { _ = memory.write($0, at: address) }
  }
}

/// An interrupt line that remembers its level and every change of it.
public final class RecordedLine: InterruptLine {
  private let state = Mutex<[Bool]>([])
  public init() {}
  public func set(asserted: Bool) { state.withLock { if ($0.last ?? false) != asserted { $0.append(asserted) } } }
  /// The levels it changed to, in order, from a low start.
  public var changes: [Bool] { state.withLock { $0 } }
  public var isAsserted: Bool { changes.last ?? false }
}

/// A message router that remembers what was routed and sent.
public final class RecordedMessages: MessageRouter {
  private struct State {
    var routes: [Int: MSIXMessage] = [:]
    var signalled: [Int] = []
  }
  private let state = Mutex(State())
  public init() {}
  public func route(vector: Int, message: MSIXMessage?) { state.withLock { $0.routes[vector] = message } }
  public func signal(vector: Int) { state.withLock { $0.signalled.append(vector) } }
  public var routes: [Int: MSIXMessage] { state.withLock { $0.routes } }
  public var signalled: [Int] { state.withLock { $0.signalled } }
}
