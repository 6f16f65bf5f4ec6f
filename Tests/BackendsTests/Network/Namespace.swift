import CLinux
import Glibc

/// A separate network namespace on a separate thread, so that the test does not touch the host's interfaces.
///
/// The tap's peer, the host's side of the wire, is a packet socket on the interface itself.
enum Namespace {
  /// Creating one needs root and a tun driver.
  static var isAvailable: Bool { geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0 && canUnshare }

  private static let canUnshare = run { [] } != nil

  /// Runs `body` on a thread in a fresh namespace; nil when the namespace could not be created.
  static func run(_ body: @escaping @Sendable () -> [String]) -> [String]? {
    let job = Job(body)
    job.start()
    return job.result
  }

  /// Unshares CLONE_NEWNET for the calling thread only. Swift's Glibc module does not import `unshare`.
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

  /// Runs a program in this thread's namespace and returns whether it succeeded.
  @discardableResult
  static func command(_ words: String...) -> Bool { command(words) }

  @discardableResult
  static func command(_ words: [String]) -> Bool {
    var pid = pid_t()
    var arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    guard posix_spawnp(&pid, words[0], nil, nil, &arguments, environ) == 0 else { return false }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    return status == 0
  }

  /// A packet socket on `interface` that receives and sends whole frames, each with a vnet header.
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
