import Backends
import CLinux
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory
import Testing

/// IFF_TUN or IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE of <linux/if_tun.h>.
private let tun: UInt16 = 0x0001
private let tap: UInt16 = 0x0002
private let plain: UInt16 = 0x1000
private let header: UInt16 = 0x4000

/// /dev/net/tun as a parent process passes it: attached to `interface` unless it is nil, and not closed on exec.
private func descriptor(_ interface: String?, _ mode: UInt16 = tap | plain | header) -> Int32 {
  let descriptor = open("/dev/net/tun", O_RDWR)
  guard let interface else { return descriptor }
  // struct ifreq: the name, then the flags at 16; TUNSETIFF.
  var request = Array(interface.utf8) + [UInt8](repeating: 0, count: 40 - interface.utf8.count)
  withUnsafeBytes(of: mode) { for place in 0..<2 { request[16 + place] = $0[place] } }
  return clinux_ioctl_pointer(descriptor, 0x4004_54CA, &request) < 0 ? -1 : descriptor
}

private func failure(_ descriptor: Int32) -> String {
  do throws(Failure) {
    return "\(try TapBackend.inherit(descriptor))"
  } catch {
    return error.description.replacing("descriptor \(descriptor)", with: "descriptor N")
  }
}

@Suite(
  "A tap by descriptor", .serialized,
  .enabled(if: Namespace.isAvailable, "needs root, /dev/net/tun and the right to make a network namespace"))
struct TapDescriptorTests {
  @Test("frames pass both ways, and the NIC sees the link of the interface")
  func bothWays() {
    #expect(Namespace.run { [Self.exchange()] } == [""])
  }

  /// The first error; empty when there is none.
  private static func exchange() -> String {
    do {
      let loop = try EventLoop(name: "test")
      let inherited = try TapBackend.inherit(descriptor("swt0"))
      if inherited.interface != "swt0" || inherited.index == nil { return "\(inherited)" }
      if fcntl(inherited.descriptor, F_GETFD) & FD_CLOEXEC == 0 { return "a child would inherit it" }
      let tap = try TapBackend(inherited, loop: loop, counters: Counters(owner: "tap"))
      let nic = TestReceiver([])
      tap.connect(nic)
      if nic.links != [false] { return "the link of an interface that is down: \(nic.links)" }
      guard Namespace.command("ip", "link", "set", "swt0", "up") else { return "ip link" }
      for _ in 0..<200 where nic.links.count < 2 { loop.runOnce(timeout: 5_000_000) }
      if nic.links != [false, true] { return "the link: \(nic.links)" }
      let peer = Namespace.packetSocket("swt0")
      defer { close(peer) }
      let frame: [UInt8] = [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xB5] + (0..<100).map { UInt8($0) }
      let memory = PiecedMemory(frame, cuts: [14])
      tap.send(Frame(pieces: memory.list))
      if !arrives(frame, at: peer) { return "no frame at the host" }
      let bytes = [UInt8](repeating: 0, count: 10) + frame
      guard write(peer, bytes, bytes.count) == bytes.count else { return "send from the host" }
      for _ in 0..<200 where !nic.frames.contains(frame) { loop.runOnce(timeout: 5_000_000) }
      return nic.frames.contains(frame) ? "" : "no frame at the NIC"
    } catch {
      return "\(error)"
    }
  }

  private static func arrives(_ frame: [UInt8], at peer: Int32) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 70_000)
    for _ in 0..<200 {
      let count = read(peer, &buffer, buffer.count)
      if count > 10, Array(buffer[10..<count]) == frame { return true }
      if count <= 0 { usleep(5000) }
    }
    return false
  }

  @Test("the error says what the descriptor is, and how to pass a usable one")
  func errors() {
    let texts = Namespace.run {
      let closing = descriptor("swt1")
      _ = fcntl(closing, F_SETFD, FD_CLOEXEC)
      let file = open("/dev/null", O_RDWR)
      let readOnly = open("/dev/net/tun", O_RDONLY)
      return [
        1_000_000, closing, file, readOnly, descriptor(nil), descriptor("swt2", tun | plain),
        descriptor("swt3", tap | plain), descriptor("swt4", tap | header),
      ].map(failure)
    }
    let start = "use descriptor N as a tap:"
    let absent =
      "\(start) this process inherited no such descriptor. Start swiftlet from a program that opened the tap, "
      + "without close-on-exec, and give that number to fd=."
    let attach = "Attach it with TUNSETIFF and IFF_TAP | IFF_NO_PI | IFF_VNET_HDR before you pass it."
    #expect(
      texts == [
        absent, absent,
        "\(start) it is not a tap. Pass /dev/net/tun after TUNSETIFF, or the /dev/tapN of a macvtap.",
        "\(start) it is not open for both reading and writing. Open it with O_RDWR.",
        "\(start) it is /dev/net/tun without an interface. \(attach)",
        "\(start) swt2 is a tun, which carries IP packets instead of Ethernet frames. \(attach)",
        "\(start) swt3 was attached without a vnet header on its frames. \(attach)",
        "\(start) swt4 was attached with packet information before its frames. \(attach)",
      ])
  }

  @Test("a tap of another network namespace works, even beside an interface of the same name, and counts as up")
  func otherNamespace() {
    let found = Namespace.run {
      let there = descriptor("swt5")
      return Namespace.run {
        guard Namespace.command("ip", "tuntap", "add", "swt5", "mode", "tap") else { return ["ip tuntap"] }
        do {
          let loop = try EventLoop(name: "test")
          let inherited = try TapBackend.inherit(there)
          let tap = try TapBackend(inherited, loop: loop, counters: Counters(owner: "tap"))
          let nic = TestReceiver([])
          tap.connect(nic)
          return ["\(inherited.interface) \(inherited.index.map { "\($0)" } ?? "elsewhere") \(nic.links)"]
        } catch {
          return ["\(error)"]
        }
      } ?? []
    }
    #expect(found == ["swt5 elsewhere [true]"])
  }

  @Test("a copy of a descriptor that a tap already uses is refused, since it would share the frames")
  func sharedQueue() {
    let same = Namespace.run {
      let first = descriptor("swt6")
      let copy = dup(first)
      guard let one = try? TapBackend.inherit(first), let two = try? TapBackend.inherit(copy) else { return [] }
      return ["\(one.isSameTap(as: two))", "\(one.descriptor == two.descriptor)"]
    }
    #expect(same == ["true", "false"])
  }
}
