import Backends
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory
import TestSupport
import Testing

@Suite(
  "The tap's link", .serialized,
  .enabled(if: Namespace.isAvailable, "needs root, /dev/net/tun and the right to make a network namespace"))
struct TapLinkTests {
  /// Runs `body` with a tap that the host created, a receiver on it and the counters.
  private static func withTap(
    _ interface: String, _ body: @escaping @Sendable (TapBackend, TestReceiver, EventLoop) throws -> [String]
  ) -> [String]? {
    Namespace.run {
      do {
        guard Namespace.command("ip", "tuntap", "add", interface, "mode", "tap") else { return ["no tap"] }
        let loop = try EventLoop(name: "test")
        let tap = try TapBackend(interface: interface, loop: loop, counters: Counters(owner: "tap"))
        let nic = TestReceiver([.checksum, .tso6])
        tap.connect(nic)
        defer { tap.connect(nil) }
        return try body(tap, nic, loop)
      } catch {
        return ["\(error)"]
      }
    }
  }

  private static func ip(_ words: String..., then loop: EventLoop) {
    Namespace.command(["ip"] + words)
    for _ in 0..<10 { loop.runOnce() }
  }

  private static func wait(_ loop: EventLoop, until isTrue: () -> Bool) {
    for _ in 0..<200 where !isTrue() { loop.runOnce(timeout: 50_000_000) }
  }

  @Test("the NIC's link follows the interface: down at first, up, down, without a carrier, up")
  func follows() {
    let result = Self.withTap("swl0") { tap, nic, loop in
      Self.ip("link", "set", "swl0", "up", then: loop)
      Self.ip("link", "set", "swl0", "mtu", "1400", then: loop)
      Self.ip("link", "set", "swl0", "down", then: loop)
      Self.ip("link", "set", "swl0", "up", then: loop)
      Self.ip("link", "set", "swl0", "carrier", "off", then: loop)
      // The kernel reports carrier changes within a second.
      Self.wait(loop) { nic.links.count == 5 }
      Self.ip("link", "set", "swl0", "carrier", "on", then: loop)
      Self.wait(loop) { nic.links.count == 6 }
      return ["\(nic.links)", "\(tap.counters[.linkChanges])", "\(tap.state.hasLink)"]
    }
    #expect(result == ["[false, true, false, true, false, true]", "5", "true"])
  }

  @Test("a bridge that is down takes the links of its ports down; other bridges do not matter")
  func bridge() {
    let result = Self.withTap("swl1") { tap, nic, loop in
      Self.ip("link", "set", "swl1", "up", then: loop)
      Self.ip("link", "add", "swb1", "type", "bridge", then: loop)
      Self.ip("link", "add", "swb2", "type", "bridge", then: loop)
      Self.ip("link", "set", "swb1", "up", then: loop)
      Self.ip("link", "set", "swl1", "master", "swb1", then: loop)
      Self.ip("link", "set", "swb1", "down", then: loop)
      Self.ip("link", "set", "swb2", "up", then: loop)
      Self.ip("link", "set", "swb2", "down", then: loop)
      Self.ip("link", "set", "swb1", "up", then: loop)
      Self.ip("link", "set", "swb1", "down", then: loop)
      Self.ip("link", "set", "swl1", "nomaster", then: loop)
      return ["\(nic.links)"]
    }
    #expect(result == ["[false, true, false, true, false, true]"])
  }

  @Test("a renamed tap keeps its link; a deleted one has none, and a new tap of its name is a different one")
  func deleted() {
    let result = Self.withTap("swl2") { tap, nic, loop in
      Self.ip("link", "set", "swl2", "name", "swl3", then: loop)
      Self.ip("link", "set", "swl3", "up", then: loop)
      Self.ip("link", "delete", "swl3", then: loop)
      let spins = loop.runOnce()
      Self.ip("tuntap", "add", "swl2", "mode", "tap", then: loop)
      Self.ip("link", "set", "swl2", "up", then: loop)
      let memory = PiecedMemory([UInt8](repeating: 2, count: 60))
      tap.send(Frame(pieces: memory.list))
      // A new NIC on it learns at once that there is no link.
      let other = TestReceiver([])
      tap.connect(other)
      tap.receiverReady()
      for _ in 0..<10 { loop.runOnce() }
      return [
        "\(nic.links)", "\(other.links)", "\(spins) \(loop.runOnce())", "\(tap.counters[.dropsTap])",
        "\(tap.counters[.linkChanges])",
      ]
    }
    #expect(result == ["[false, true, false]", "[false]", "false false", "1", "2"])
  }

  @Test("create=on creates a missing tap and sets it up, and the tap disappears with its descriptor")
  func made() {
    let result = Namespace.run {
      do {
        let loop = try EventLoop(name: "test")
        let refused = try? TapBackend(interface: "swl4", loop: loop, counters: Counters(owner: "tap"))
        let before = [refused == nil, try HostLink.named("swl4") == nil]
        var tap: TapBackend? = try TapBackend(
          interface: "swl4", isMade: true, loop: loop, counters: Counters(owner: "tap"))
        let states = [tap?.state.hasLink == true, try HostLink.named("swl4")?.isUp == true]
        tap = nil
        return ["\(before)", "\(states)", "\(try HostLink.named("swl4") == nil)"]
      } catch {
        return ["\(error)"]
      }
    }
    #expect(result == ["[true, true]", "[true, true]", "true"])
  }

  @Test("the kernel gets the receiver's offloads once it has buffers, and again when it accepts fewer")
  func offloads() {
    let result = Self.withTap("swl5") { tap, nic, loop in
      var seen = [tap.state.offloads.names.joined(separator: ",")]
      tap.receiverReady()
      seen.append(tap.state.offloads.names.joined(separator: ","))
      nic.acceptedOffloads = []
      tap.receiverReady()
      seen.append(tap.state.offloads.names.joined(separator: ","))
      return seen
    }
    #expect(result == ["", "csum,tso6", ""])
  }

  @Test("a capture passes the link on to its NIC")
  func capture() throws {
    let network = RecordedNetwork()
    let folder = try TemporaryFolder()
    let capture = try PacketCapture(network, path: folder.file("pcap"), counters: Counters(owner: "pcap"))
    let nic = TestReceiver()
    capture.connect(nic)
    network.setLink(up: false)
    network.setLink(up: true)
    #expect(nic.links == [false, true])
  }
}
