import Failures
import Glibc

/// A socket to the kernel's routing tables (rtnetlink(7)); reading them needs no privilege.
///
/// It belongs to the network namespace of the thread that creates it. Its calls never block.
final class NetlinkSocket: Sendable {
  /// A message about a link has a few KiB. The kernel truncates messages that do not fit.
  private static let largestMessage = 32 << 10
  let descriptor: Int32

  /// - Parameter groups: the RTMGRP_* bits of the events to receive.
  init(groups: UInt32) throws(Failure) {
    descriptor = try systemCall("open a netlink socket") {
      socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    }
    // struct sockaddr_nl: family, padding, port, groups.
    let address = NetlinkMessage.bytes(of: UInt32(AF_NETLINK)) + [0, 0, 0, 0] + NetlinkMessage.bytes(of: groups)
    let bound = address.withUnsafeBytes {
      bind(descriptor, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
    guard bound == 0 else {
      let code = errno
      close(descriptor)
      throw Failure("listen on a netlink socket", errno: code)
    }
  }

  deinit { close(descriptor) }

  /// Sends a request. The kernel queues its answer before this returns. Returns false, with errno, on failure.
  ///
  /// - Parameter flags: NLM_F_* bits besides NLM_F_REQUEST.
  func send(type: UInt16, flags: UInt16 = 0, body: [UInt8]) -> Bool {
    // Length; type and flags; sequence number; port.
    let header =
      NetlinkMessage.bytes(of: UInt32(truncatingIfNeeded: 16 + body.count))
      + NetlinkMessage.bytes(of: UInt32(type) | UInt32(flags | 1) << 16) + [UInt8](repeating: 0, count: 8)
    let message = header + body
    return message.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, 0) } == message.count
  }

  /// The next datagram; nil, with errno, if there is none.
  func receive() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: Self.largestMessage)
    let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
    guard count >= 0 else { return nil }
    return Array(buffer.prefix(count))
  }
}
