import Bus
import Devices
import Registers
import Synchronization
import TestSupport
import Testing

@Suite("The platform's bridges (82441FX, 82371SB) and the debug exit")
struct PlatformTests {
  private final class Routes: Sendable {
    let state = Mutex<[String]>([])
    func add(_ pirq: Int, _ interrupt: UInt8?) {
      state.withLock { $0.append("\(pirq):\(interrupt.map { "\($0)" } ?? "-")") }
    }
    var taken: [String] {
      state.withLock { routes in
        defer { routes = [] }
        return routes
      }
    }
  }

  @Test("identities")
  func identities() {
    let host = makeHostBridgeFunction()
    #expect(host.readConfiguration(0, width: 4) == 0x1237_8086)
    #expect(host.readConfiguration(8, width: 4) == 0x0600_0002)
    let bridge = PIIX3Bridge()
    #expect(bridge.readConfiguration(0, width: 4) == 0x7000_8086)
    #expect(bridge.readConfiguration(8, width: 4) == 0x0601_0000)
    #expect(bridge.readConfiguration(0x0E, width: 1) == 0x80)
    #expect(bridge.readConfiguration(0x06, width: 2) == 0x0200, "PCISTS: DEVSEL# timing is medium")
  }

  @Test("82371SB, 2.3.4: PIRQRC[A:D] route; bit 7 disables the route; reserved interrupts connect nothing")
  func routing() {
    let bridge = PIIX3Bridge()
    let routes = Routes()
    bridge.observeRoutes { routes.add($0, $1) }
    #expect(routes.taken == ["0:10", "1:10", "2:11", "3:11"])
    bridge.writeConfiguration(0x61, 5, width: 1)
    #expect(routes.taken == ["1:5"])
    bridge.writeConfiguration(0x60, 0x800B_0C8A, width: 4)
    #expect(routes.taken == ["0:-", "1:12", "2:11", "3:-"])
    for reserved in [0, 1, 2, 8, 13] as [UInt32] {
      bridge.writeConfiguration(0x60, reserved, width: 1)
      #expect(routes.taken == ["0:-"])
    }
    bridge.writeConfiguration(0x60, 0xFF, width: 1)
    #expect(bridge.readConfiguration(0x60, width: 1) == 0x8F, "bits 6 to 4 are reserved")
    bridge.writeConfiguration(0x5F, 0, width: 1)
    bridge.writeConfiguration(0x64, 0, width: 1)
    _ = routes.taken
  }

  @Test("INTA# of consecutive devices cycles through the four PIRQs")
  func swizzle() {
    #expect((0..<6).map { PIIX3Register.pirq(device: $0) } == [3, 0, 1, 2, 3, 0])
  }

  @Test("the debug exit reports the written value, and reads 0")
  func debugExit() {
    let routes = Routes()
    let bus = Bus()
    let port = DebugExit { value in routes.add(Int(value), nil) }
    port.attach(to: bus)
    bus.write(.port, 0xF4, width: 4, 0xFFFF_FFFF)
    bus.write(.port, 0xF4, width: 1, 3)
    #expect(routes.taken == ["4294967295:-", "3:-"])
    #expect(bus.read(.port, 0xF4, width: 4) == 0)
  }
}
