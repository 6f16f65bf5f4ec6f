import Backends
import CLinux
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory
import Synchronization
import Testing

@Suite(
  "The tap", .serialized,
  .enabled(if: Namespace.isAvailable, "needs root, /dev/net/tun and the right to make a network namespace"))
struct TapTests {
  private static func failure(_ interface: String, _ loop: EventLoop) -> String {
    do throws(Failure) {
      _ = try TapBackend(interface: interface, loop: loop, counters: Counters(owner: "tap"))
      return ""
    } catch {
      return error.description
    }
  }

  @Test("frames pass both ways, large sends whole")
  func bothWays() throws {
    #expect(Namespace.run { [Self.exchange()] } == [""])
  }

  /// The first error; empty when there is none.
  private static func exchange() -> String {
    do {
      let loop = try EventLoop(name: "test")
      let counters = Counters(owner: "tap")
      guard Namespace.command("ip", "tuntap", "add", "swt0", "mode", "tap") else { return "ip tuntap" }
      let tap = try TapBackend(interface: "swt0", loop: loop, counters: counters)
      guard Namespace.command("ip", "link", "set", "swt0", "up") else { return "ip link" }
      let nic = TestReceiver([.checksum, .tso4])
      tap.connect(nic)
      let peer = Namespace.packetSocket("swt0")
      defer { close(peer) }
      func receive(_ isWanted: ([UInt8]) -> Bool) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 70_000)
        for _ in 0..<200 {
          let count = read(peer, &buffer, buffer.count)
          if count > 0, isWanted(Array(buffer[10..<count])) { return Array(buffer[..<count]) }
          if count <= 0 { usleep(5000) }
        }
        return nil
      }

      // To the host: a plain frame in pieces, and a large one that the kernel segments if it must.
      let plain: [UInt8] = [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xB5] + (0..<100).map { UInt8($0) }
      let memory = PiecedMemory(plain, cuts: [1, 14, 15])
      tap.send(Frame(pieces: memory.list))
      guard let seen = receive({ $0 == plain }) else { return "the plain frame did not arrive" }
      if seen[0..<2] != [0, 0] { return "vnet header of the plain frame: \(seen.prefix(10))" }
      let tcp = TCPFrame(payload: 8000)
      let large = PiecedMemory(tcp.bytes, cuts: [54, 3000])
      tap.send(Frame(pieces: large.list, checksum: .init(start: 34, offset: 16), segmentation: tcp.segmentation))
      guard let seen = receive({ $0 == tcp.bytes }) else { return "the large frame did not arrive whole" }
      if Array(seen.prefix(10)) != [1, 1, 54, 0, 0xA8, 0x05, 34, 0, 16, 0] { return "its header: \(seen.prefix(10))" }

      // The tap does not trust the sender's description of a large frame.
      let lie = Segmentation(kind: .tcp4, segmentSize: 1448, headerLength: 0)
      tap.send(Frame(pieces: large.list, checksum: .init(start: 0, offset: 0), segmentation: lie))
      guard let seen = receive({ $0 == tcp.bytes }) else { return "the misdescribed frame did not arrive" }
      if Array(seen.prefix(10)) != [1, 1, 54, 0, 0xA8, 0x05, 34, 0, 16, 0] { return "its header: \(seen.prefix(10))" }
      let small = Segmentation(kind: .tcp4, segmentSize: 1, headerLength: 54)
      tap.send(Frame(pieces: large.list, checksum: .init(start: 34, offset: 16), segmentation: small))
      if counters[.dropsMalformed] != 1 { return "8000 segments were not refused" }

      // From the host.
      func send(_ header: [UInt8], _ frame: [UInt8]) -> Bool {
        let bytes = header + frame
        return write(peer, bytes, bytes.count) == bytes.count
      }
      func settle(_ isDone: () -> Bool) {
        for _ in 0..<200 where !isDone() { loop.runOnce(timeout: 5_000_000) }
      }
      guard send([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], plain) else { return "send: \(String(cString: strerror(errno)))" }
      settle { nic.frames.contains(plain) }
      guard nic.frames.contains(plain) else { return "no plain frame to the NIC" }
      guard send([1, 1, 54, 0, 0xA8, 0x05, 34, 0, 16, 0], tcp.bytes) else { return "send of a large frame" }
      settle { nic.frames.contains(tcp.bytes) }
      guard let place = nic.frames.firstIndex(of: tcp.bytes) else { return "no large frame to the NIC" }
      if nic.descriptions[place].segmentation?.segmentSize != 1448 { return "\(nic.descriptions[place])" }
      if nic.descriptions[place].checksum != PartialChecksum(start: 34, offset: 16) {
        return "\(nic.descriptions[place])"
      }
      if nic.bursts == 0 { return "no burst" }

      // Without a buffer frames wait. All arrive once there are buffers, without further traffic.
      nic.buffers = 0
      let before = nic.frames.filter { $0 == plain }.count
      for _ in 0..<5 { _ = send([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], plain) }
      for _ in 0..<20 { loop.runOnce(timeout: 5_000_000) }
      if nic.frames.filter({ $0 == plain }).count != before { return "taken without a buffer" }
      nic.buffers = .max
      tap.receiverReady()
      settle { nic.frames.filter { $0 == plain }.count == before + 5 }
      if nic.frames.filter({ $0 == plain }).count != before + 5 { return "the tail of the burst is lost" }

      // A receiver that accepts fewer offloads: the kernel segments, or swiftlet does.
      nic.acceptedOffloads = []
      guard send([1, 1, 54, 0, 0xA8, 0x05, 34, 0, 16, 0], tcp.bytes) else { return "send of a large frame" }
      // The kernel sends its own frames on a new interface, so count by address.
      func segments() -> [[UInt8]] { nic.frames.filter { $0.prefix(12) == tcp.bytes.prefix(12) && $0.count <= 1502 } }
      settle { segments().count == 6 }
      if segments().flatMap({ $0[54...] }) != Array(tcp.bytes[54...]) { return "segments: \(segments().map(\.count))" }

      // The interface is deleted: the loop must not spin on its descriptor.
      Namespace.command("ip", "link", "delete", "swt0")
      for _ in 0..<10 { loop.runOnce() }
      if loop.runOnce() { return "the loop spins on a deleted tap" }
      tap.send(Frame(pieces: memory.list))
      if counters[.dropsTap] != 1 { return "a send to a deleted tap is not counted" }
      tap.connect(nil)
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test("the error distinguishes interfaces in use and those that are not single-queue taps")
  func errors() throws {
    let texts = Namespace.run {
      guard let loop = try? EventLoop(name: "test") else { return [] }
      Namespace.command("ip", "tuntap", "add", "swt1", "mode", "tap")
      Namespace.command("ip", "tuntap", "add", "swt2", "mode", "tun")
      Namespace.command("ip", "tuntap", "add", "swt3", "mode", "tap", "multi_queue")
      Namespace.command("ip", "link", "add", "swt4", "type", "bridge")
      let first = try? TapBackend(interface: "swt1", loop: loop, counters: Counters(owner: "tap"))
      defer { withExtendedLifetime(first) {} }
      return ["lo", "swt1", "swt2", "swt3", "swt4"].map { Self.failure($0, loop) }
    }
    let make = "To create a bridge with taps for your user: sudo \(Program.path) network up"
    #expect(
      texts == [
        "open the tap lo: it is not a tap but another kind of interface. Name a tap. \(make)",
        "open the tap swt1: another process has it open. Give each VM its own tap.",
        "open the tap swt2: it is a tun, which carries IP packets instead of Ethernet frames. Name a tap. \(make)",
        "open the tap swt3: it is a multi-queue tap, and swiftlet reads only one queue. "
          + "Create it again with one queue: "
          + "sudo ip tuntap del swt3 mode tap multi_queue && sudo ip tuntap add swt3 mode tap user $USER && "
          + "sudo ip link set swt3 up",
        "open the tap swt4: it is not a tap but a bridge. Name a tap. \(make)",
      ])
  }

  @Test(
    "invalid interface names are refused before the kernel expands or truncates them",
    arguments: ["", "0123456789abcdef", "tap%d", "a/b", "a b", ".", "..", "a:b", "t\u{00E4}p"])
  func names(name: String) throws {
    let loop = try EventLoop(name: "test")
    let failure = #expect(throws: Failure.self) {
      _ = try TapBackend(interface: name, loop: loop, counters: Counters(owner: "tap"))
    }
    #expect(failure?.cause == "an interface name has 1 to 15 characters and no space, / : or %")
  }

  @Test("a missing tap is refused, and the error says how to create it")
  func absent() throws {
    #expect(Self.failure("swt9", try EventLoop(name: "test")).contains("sudo \(Program.path) network up"))
  }
}
