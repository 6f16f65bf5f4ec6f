import Backends
import CLinux
import Counters
import EventLoop
import Failures
import Glibc
import Threads

/// A bridge with taps, in a network namespace of its own. The host's interfaces are not touched.
///
/// A short-lived thread enters the namespace for each change. Nothing else is in the namespace: a tap works through its
/// descriptor, also in a process outside. The kernel removes the namespace with all of its interfaces when the last
/// descriptor is closed, so nothing is left behind, however the process ends.
package final class TapNetwork: Sendable {
  /// What moves the calling thread into a new network namespace. Returns -1 and sets `errno` if that is not allowed.
  package typealias Unshare = @Sendable () -> Int32
  package static let unshare: Unshare = { clinux_unshare_network() }

  /// Frames that a tap queues for its reader: more than any window, even if the kernel splits it into segments of 1514
  /// bytes because the reader accepts no large frames.
  private static let queueLength: UInt32 = 4096
  private static let bridge = "peer"
  private static let action = "make a network namespace with taps"

  /// The namespace (namespaces(7)).
  private let namespace: Int32
  /// The namespace's /proc/net/dev.
  private let statistics: Int32

  package init(unshare: @escaping Unshare = TapNetwork.unshare) throws(Failure) {
    (namespace, statistics) = try Self.onThread { () throws(Failure) in
      guard unshare() == 0 else { throw Self.refusal(errno) }
      Self.simplify()
      try HostLink.addBridge(Self.bridge)
      let namespace = try systemCall(Self.action) { clinux_open("/proc/thread-self/ns/net", O_RDONLY) }
      do throws(Failure) {
        return (namespace, try systemCall(Self.action) { clinux_open("/proc/thread-self/net/dev", O_RDONLY) })
      } catch {
        close(namespace)
        throw error
      }
    }
  }

  deinit {
    close(namespace)
    close(statistics)
  }

  /// Why taps are not possible here; nil if they are. A tap shows that the rest will work.
  static func refusal(unshare: @escaping Unshare) -> Failure? {
    do {
      close(try TapNetwork(unshare: unshare).descriptor("tap0"))
      return nil
    } catch {
      return error
    }
  }

  private static func refusal(_ code: Int32) -> Failure {
    guard code == EPERM else {
      return Failure(action, errno: code, fix: "Look at the limit: sysctl user.max_net_namespaces")
    }
    return Failure(
      action, cause: "it needs CAP_SYS_ADMIN",
      fix: "Run it as root, or as root of a user namespace: unshare --user --map-root-user "
        + ([Program.path] + CommandLine.arguments.dropFirst()).joined(separator: " "))
  }

  /// Turns IPv6 and the filters of bridges off, where /proc is writable. Otherwise they only cost time.
  private static func simplify() {
    let settings = [
      ("ipv6/conf/all/disable_ipv6", "1"), ("ipv6/conf/default/disable_ipv6", "1"),
      ("bridge/bridge-nf-call-iptables", "0"), ("bridge/bridge-nf-call-ip6tables", "0"),
      ("bridge/bridge-nf-call-arptables", "0"),
    ]
    for (name, value) in settings {
      let descriptor = clinux_open("/proc/sys/net/\(name)", O_WRONLY)
      guard descriptor >= 0 else { continue }
      write(descriptor, value, 1)
      close(descriptor)
    }
  }

  /// Runs `body` on a new thread, and waits for it.
  private static func onThread<Value: Sendable>(
    _ body: @escaping @Sendable () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let outcome = Guarded<Result<Value, Failure>>(.leaf, .failure(Failure(action, cause: "there is no thread")))
    let thread = BackgroundThread {
      let result: Result<Value, Failure>
      do throws(Failure) { result = .success(try body()) } catch { result = .failure(error) }
      outcome.withLock { $0 = result }
    }
    thread.start()
    thread.join()
    return try outcome.withLock { $0 }.get()
  }

  private func inside<Value: Sendable>(
    _ body: @escaping @Sendable () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    let namespace = namespace
    return try Self.onThread { () throws(Failure) in
      try systemCall("enter a network namespace") { clinux_enter_network(namespace) }
      return try body()
    }
  }

  // MARK: Taps

  /// Makes the tap `name`, for a NIC or an endpoint of this process.
  package func backend(_ name: String, loop: EventLoop) throws(Failure) -> TapBackend {
    try inside { () throws(Failure) in
      let counters = Counters(owner: name)
      let backend = try TapBackend(interface: name, isMade: true, loop: loop, counters: counters)
      try Self.attach(name)
      return backend
    }
  }

  /// Makes the tap `name`, for another program. The caller closes the descriptor.
  package func descriptor(_ name: String) throws(Failure) -> Int32 {
    try inside { () throws(Failure) in
      let descriptor = try TapBackend.open(name, isMade: true).descriptor
      do throws(Failure) { try Self.attach(name) } catch {
        close(descriptor)
        throw error
      }
      return descriptor
    }
  }

  /// Connects the tap `name` with the bridge. Ports forward at once, because the bridge has no spanning tree protocol.
  private static func attach(_ name: String) throws(Failure) {
    guard let link = try HostLink.named(name), let bridge = try HostLink.named(bridge) else {
      throw Failure(action, cause: "\(name) has disappeared")
    }
    try link.connect(to: bridge, queueing: queueLength)
  }

  /// Frames that the kernel has dropped at the taps, by the name of the tap: its queue was full.
  package var drops: [String: UInt64] {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = max(0, pread(statistics, &bytes, bytes.count, 0))
    return Self.drops(in: String(decoding: bytes[..<count], as: UTF8.self))
  }

  /// Reads the columns "drop" of /proc/net/dev, of all interfaces but the bridge, which also counts frames that it floods
  /// to a host that has no use for them.
  static func drops(in text: String) -> [String: UInt64] {
    var drops: [String: UInt64] = [:]
    for line in text.split(separator: "\n").dropFirst(2) {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let name = parts[0].trimmingPrefix { $0 == " " }
      let numbers = parts[1].split(separator: " ").map { UInt64($0) ?? 0 }
      guard name != bridge, numbers.count > 11, numbers[3] + numbers[11] > 0 else { continue }
      drops[String(name)] = numbers[3] + numbers[11]
    }
    return drops
  }
}
