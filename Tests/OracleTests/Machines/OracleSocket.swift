import Failures
import Foundation

/// The wire of QEMU's NIC: a unix datagram socket with one frame per datagram.
final class OracleSocket {
  private let descriptor: Int32
  private let remote: String

  init(local: String, remote: String) throws {
    self.remote = remote
    descriptor = try Self.make(SOCK_DGRAM, bound: local)
  }

  deinit { close(descriptor) }

  func send(_ frame: [UInt8]) throws {
    let count = Self.withAddress(remote) { address, size in
      frame.withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, 0, address, size) }
    }
    guard count == frame.count else { throw Failure("send a frame to QEMU", errno: errno) }
  }

  /// Whether QEMU still has frames to read.
  var isWaiting: Bool {
    var count: Int32 = 0
    _ = ioctl(descriptor, UInt(TIOCOUTQ), &count)
    return count > 0
  }

  /// The next received frame; nil without one.
  func next() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 1 << 17)
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return count > 0 ? Array(buffer[..<count]) : nil
  }

  // MARK: Sockets of this suite

  /// A socket that waits for one connection at `path`.
  static func listen(_ path: String) throws -> Int32 {
    let descriptor = try make(SOCK_STREAM, bound: path)
    guard Glibc.listen(descriptor, 1) == 0 else { throw Failure("listen at \(path)", errno: errno) }
    return descriptor
  }

  static func accept(_ listener: Int32, milliseconds: Int32) throws -> Int32 {
    var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, milliseconds) > 0 else { throw Failure("start QEMU", cause: "it does not connect") }
    let descriptor = Glibc.accept(listener, nil, nil)
    guard descriptor >= 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
      throw Failure("accept QEMU's connection", errno: errno)
    }
    return descriptor
  }

  private static func make(_ kind: __socket_type, bound path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(kind.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Failure("make a socket", errno: errno) }
    guard withAddress(path, { bind(descriptor, $0, $1) }) == 0 else {
      throw Failure("bind the socket \(path)", errno: errno)
    }
    return descriptor
  }

  private static func withAddress<Result>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result)
    -> Result
  {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }
}
