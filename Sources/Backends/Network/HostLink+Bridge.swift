import Failures
import Glibc

/// Changes in the caller's network namespace. They need CAP_NET_ADMIN there.
extension HostLink {
  /// Creates the bridge `name`, and sets it up.
  ///
  /// The bridge only forwards. It does not look at multicasts, because it would then send IGMP reports to its ports.
  public static func addBridge(_ name: String) throws(Failure) {
    let kind = NetlinkAttribute(1, Array("bridge".utf8) + [0]).bytes  // IFLA_INFO_KIND
    let data = NetlinkAttribute(2, NetlinkAttribute(23, [0]).bytes).bytes  // IFLA_INFO_DATA: IFLA_BR_MCAST_SNOOPING
    try change(
      "make the bridge \(name)", fix: "Load the module: sudo modprobe bridge", flags: 0x600, index: 0, isUp: true,
      [
        NetlinkAttribute(3, Array(name.utf8) + [0]),  // IFLA_IFNAME
        NetlinkAttribute(18, kind + data),  // IFLA_LINKINFO
      ])
  }

  /// Makes this interface a port of `bridge`, and lets it queue `frames` for its reader.
  public func connect(to bridge: HostLink, queueing frames: UInt32) throws(Failure) {
    try Self.change(
      "connect \(name) with the bridge \(bridge.name)", index: index, isUp: isUp,
      [
        NetlinkAttribute(10, NetlinkMessage.bytes(of: UInt32(bitPattern: bridge.index))),  // IFLA_MASTER
        NetlinkAttribute(13, NetlinkMessage.bytes(of: frames)),  // IFLA_TXQLEN
      ])
  }

  /// Sends an RTM_NEWLINK.
  ///
  /// - Parameter flags: NLM_F_CREATE and NLM_F_EXCL to create an interface.
  private static func change(
    _ action: String, fix: String? = nil, flags: UInt16 = 0, index: Int32, isUp: Bool, _ attributes: [NetlinkAttribute]
  ) throws(Failure) {
    let socket = try NetlinkSocket(groups: 0)
    // struct ifinfomsg: family and type, index, flags, changed flags. IFF_UP is 1.
    let body = [0, 0, isUp ? 1 : 0, 1 as UInt32].enumerated().flatMap { place, word in
      NetlinkMessage.bytes(of: place == 1 ? UInt32(bitPattern: index) : word)
    }
    // NLM_F_ACK: the kernel answers with an NLMSG_ERROR, whose code is 0 after a success.
    guard socket.send(type: 16, flags: flags | 0x4, body: body + attributes.flatMap(\.bytes)),
      let answer = socket.receive(), let code = NetlinkMessage(answer[...])?.errorCode
    else { throw Failure(action, errno: errno) }
    // A kernel without the module does not know the kind of interface.
    guard code == 0 else { throw Failure(action, errno: code, fix: code == EOPNOTSUPP ? fix : nil) }
  }
}
