import Backends
import CLinux
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory
import Synchronization
import Testing

/// A network namespace of its own on a thread of its own, so that the test leaves the host's interfaces alone.
///
/// The peer of the tap is a packet socket on the interface itself: the host's side of the wire.
private enum Namespace {
  /// Only root may make one, and there must be a tun driver.
  static var isAvailable: Bool { geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0 && canUnshare }

  private static let canUnshare = run { [] } != nil

  /// Runs `body` on a thread in a fresh namespace; nil when none could be made.
  static func run(_ body: @escaping @Sendable () -> [String]) -> [String]? {
    let job = Job(body)
    job.start()
    return job.result
  }

  /// CLONE_NEWNET for the calling thread only. The glibc module leaves `unshare` out.
  private static func enter() -> Bool {
    guard let symbol = dlsym(nil, "unshare") else { return false }
    return unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Int32).self)(0x4000_0000) == 0
  }

  private final class Job: @unchecked Sendable {
    private let body: @Sendable () -> [String]
    private(set) var result: [String]?
    init(_ body: @escaping @Sendable () -> [String]) { self.body = body }

    func start() {
      var thread = pthread_t()
      let box = Unmanaged.passRetained(self)
      pthread_create(
        &thread, nil,
        { argument in
          let job = Unmanaged<Job>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue()
          if enter() { job.result = job.body() }
          return nil
        }, box.toOpaque())
      pthread_join(thread, nil)
    }
  }

  /// Runs a program in this thread's namespace; whether it succeeded.
  @discardableResult
  static func command(_ words: String...) -> Bool {
    var pid = pid_t()
    var arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    guard posix_spawnp(&pid, words[0], nil, nil, &arguments, environ) == 0 else { return false }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    return status == 0
  }

  /// A packet socket on `interface` that sees and sends whole frames, with a vnet header before each.
  static func packetSocket(_ interface: String) -> Int32 {
    let protocolAll = Int32(UInt16(0x0003).byteSwapped)
    let descriptor = socket(17, Int32(SOCK_RAW.rawValue) | Int32(SOCK_NONBLOCK.rawValue), protocolAll)
    var on: Int32 = 1
    setsockopt(descriptor, 263, 15, &on, 4)  // SOL_PACKET, PACKET_VNET_HDR
    // struct sockaddr_ll: family, protocol, index, then the link's own fields.
    var address = [UInt8](repeating: 0, count: 20)
    address[0] = 17
    address[3] = 3
    let index = if_nametoindex(interface)
    withUnsafeBytes(of: index) { for place in 0..<4 { address[4 + place] = $0[place] } }
    _ = address.withUnsafeBytes {
      bind(descriptor, $0.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: sockaddr.self), 20)
    }
    return descriptor
  }
}

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

  /// What went wrong; an empty text when all is well.
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

      // To the host: a plain frame, in pieces, and one to be cut by whoever needs it.
      let plain: [UInt8] = [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xB5] + (0..<100).map { UInt8($0) }
      let memory = PiecedMemory(plain, cuts: [1, 14, 15])
      tap.send(Frame(pieces: memory.list))
      guard let seen = receive({ $0 == plain }) else { return "the plain frame did not come" }
      if seen[0..<2] != [0, 0] { return "vnet header of the plain frame: \(seen.prefix(10))" }
      let tcp = TCPFrame(payload: 8000)
      let large = PiecedMemory(tcp.bytes, cuts: [54, 3000])
      tap.send(Frame(pieces: large.list, checksum: .init(start: 34, offset: 16), segmentation: tcp.segmentation))
      guard let seen = receive({ $0 == tcp.bytes }) else { return "the large frame did not come whole" }
      if Array(seen.prefix(10)) != [1, 1, 54, 0, 0xA8, 0x05, 34, 0, 16, 0] { return "its header: \(seen.prefix(10))" }

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

      // Without a buffer frames wait; all come when there are some, and nothing more needs to be sent.
      nic.buffers = 0
      let before = nic.frames.filter { $0 == plain }.count
      for _ in 0..<5 { _ = send([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], plain) }
      for _ in 0..<20 { loop.runOnce(timeout: 5_000_000) }
      if nic.frames.filter({ $0 == plain }).count != before { return "taken without a buffer" }
      nic.buffers = .max
      tap.receiverReady()
      settle { nic.frames.filter { $0 == plain }.count == before + 5 }
      if nic.frames.filter({ $0 == plain }).count != before + 5 { return "the tail of the burst is lost" }

      // A receiver that takes less: the kernel cuts, or we do.
      nic.acceptedOffloads = []
      guard send([1, 1, 54, 0, 0xA8, 0x05, 34, 0, 16, 0], tcp.bytes) else { return "send of a large frame" }
      // The kernel has frames of its own for a new interface, so count by the addresses.
      func segments() -> [[UInt8]] { nic.frames.filter { $0.prefix(12) == tcp.bytes.prefix(12) && $0.count <= 1502 } }
      settle { segments().count == 6 }
      if segments().flatMap({ $0[54...] }) != Array(tcp.bytes[54...]) { return "segments: \(segments().map(\.count))" }

      // The interface goes away: the loop must not spin on it.
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

  @Test("an interface that is no tap, or in use, is told apart")
  func errors() throws {
    let texts = Namespace.run {
      guard let loop = try? EventLoop(name: "test") else { return [] }
      Namespace.command("ip", "tuntap", "add", "swt1", "mode", "tap")
      let first = try? TapBackend(interface: "swt1", loop: loop, counters: Counters(owner: "tap"))
      defer { withExtendedLifetime(first) {} }
      return [Self.failure("lo", loop), Self.failure("swt1", loop)]
    }
    #expect(
      texts == [
        "open the tap lo: it is there but is not a tap, or is a multi-queue one. "
          + "Make one of another name: sudo ip tuntap add NAME mode tap user $USER",
        "open the tap swt1: another process has it open. Give each VM its own tap.",
      ])
  }

  @Test(
    "names that no interface can have are refused before the kernel numbers or misreads them",
    arguments: ["", "0123456789abcdef", "tap%d", "a/b", "a b", ".", "..", "a:b", "t\u{00E4}p"])
  func names(name: String) throws {
    let loop = try EventLoop(name: "test")
    let failure = #expect(throws: Failure.self) {
      _ = try TapBackend(interface: name, loop: loop, counters: Counters(owner: "tap"))
    }
    #expect(failure?.cause == "an interface name has 1 to 15 characters, none of them a space, / : or %")
  }

  @Test(
    "without privilege a tap that is not there says how to make it", .enabled(if: geteuid() != 0, "root may make one"))
  func unprivileged() throws {
    #expect(Self.failure("swt9", try EventLoop(name: "test")).contains("sudo ip tuntap add swt9 mode tap user $USER"))
  }
}
