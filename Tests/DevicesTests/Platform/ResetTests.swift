import Bus
import Devices
import Synchronization
import TestSupport
import Testing

/// Counts requests.
final class CallCount: Sendable {
  private let value = Atomic(0)
  var count: Int { value.load(ordering: .relaxed) }
  func add() { value.add(1, ordering: .relaxed) }
}

@Suite("Reset, panic and POST code ports")
struct ResetTests {
  private let bus = Bus()
  private let calls = CallCount()

  private func read(_ port: UInt64) -> UInt64 { bus.read(.port, port, width: 1) }
  private func write(_ port: UInt64, _ value: UInt64) { bus.write(.port, port, width: 1, value) }

  @Test("port 92: bit 0 resets, bit 1 reads back")
  func fastReset() {
    FastReset { [calls] in calls.add() }.attach(to: bus)
    #expect(read(0x92) == 0x02)
    write(0x92, 0x00)
    #expect(read(0x92) == 0x00)
    write(0x92, 0xFE)
    #expect(read(0x92) == 0x02)
    #expect(calls.count == 0)
    write(0x92, 0x01)
    #expect(calls.count == 1)
    #expect(read(0x92) == 0x00)
  }

  @Test("82371SB, RC: bit 2 resets as it rises, whatever the address latch holds")
  func resetControl() {
    let bridge = PCIHostBridge()
    bridge.attach(to: bus)
    #expect(read(0xCF9) == 0xFF, "not connected")
    ResetControl { [calls] in calls.add() }.attach(to: bridge)
    bus.write(.port, 0xCF8, width: 4, 0x8000_0604)
    #expect(read(0xCF9) == 0x00)
    // As Linux resets with reboot=pci.
    write(0xCF9, 0x02)
    #expect(calls.count == 0)
    #expect(read(0xCF9) == 0x02)
    write(0xCF9, 0x0E)
    #expect(calls.count == 1)
    #expect(read(0xCF9) == 0x06)
    write(0xCF9, 0x06)
    #expect(calls.count == 1)
    write(0xCF9, 0x00)
    write(0xCF9, 0x04)
    #expect(calls.count == 2)
    #expect(bus.read(.port, 0xCF8, width: 4) == 0x8000_0604)
  }

  @Test("only a byte access at 0xCF9 reaches RC; other widths and bytes do not")
  func resetControlNeighbours() {
    let bridge = PCIHostBridge()
    bridge.attach(to: bus)
    ResetControl { [calls] in calls.add() }.attach(to: bridge)
    for port in 0xCF8...0xCFF as ClosedRange<UInt64> {
      for width in [1, 2, 4] where (port, width) != (0xCF9, 1) {
        bus.write(.port, port, width: width, 0xFFFF_FFFF)
        _ = bus.read(.port, port, width: width)
      }
    }
    #expect(calls.count == 0)
    #expect(read(0xCF9) == 0)
    #expect(bus.read(.port, 0xCF9, width: 2) == 0xFFFF)
  }

  @Test("KVM may hold no write to the configuration ports: it would hold a reset back with the latch")
  func notCoalesced() {
    PCIHostBridge().attach(to: bus)
    #expect(bus.range(.port, at: 0xCF8)?.accelerations.isEmpty == true)
  }

  @Test("pvpanic: reading reports event 0, writing it calls the handler, other bits do nothing")
  func panic() {
    PanicDevice { [calls] in calls.add() }.attach(to: bus)
    #expect(read(0x505) == 0x01)
    write(0x505, 0x01)
    #expect(calls.count == 1)
    write(0x505, 0xFE)
    #expect(calls.count == 1)
    bus.write(.port, 0x505, width: 4, 0xFFFF_FF00)
    #expect(calls.count == 1)
  }

  @Test("the POST code is the last written byte, and KVM may hold its writes")
  func postCode() throws {
    PostCode().attach(to: bus)
    #expect(read(0x80) == 0)
    write(0x80, 0xA5)
    #expect(read(0x80) == 0xA5)
    bus.write(.port, 0x80, width: 4, 0x1122_3344)
    #expect(read(0x80) == 0x44)
    let accelerations = try #require(bus.range(.port, at: 0x80)).accelerations
    guard accelerations.count == 1, case .coalesced(offset: 0, size: 1) = accelerations[0] else {
      Issue.record("not coalesced: \(accelerations)")
      return
    }
  }

  @Test("no value at any width at any port traps")
  func noise() {
    FastReset { [calls] in calls.add() }.attach(to: bus)
    PanicDevice {}.attach(to: bus)
    PostCode().attach(to: bus)
    for port in [0x80, 0x92, 0x505] as [UInt64] {
      for width in [1, 2, 4, 8] {
        for value in 0...255 as ClosedRange<UInt64> {
          bus.write(.port, port, width: width, value &* 0x0101_0101_0101_0101)
          _ = bus.read(.port, port, width: width)
        }
      }
    }
    #expect(calls.count == 4 * 128, "once for each write of bit 0")
  }
}
