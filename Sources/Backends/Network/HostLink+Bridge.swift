import Failures
import Glibc

extension HostLink {
  /// Creates the bridge `name` in the caller's network namespace, and sets it up. Needs CAP_NET_ADMIN.
  ///
  /// The bridge only forwards. It does not look at multicasts, because it would then send IGMP reports to its ports.
  public static func addBridge(_ name: String) throws(Failure) {
    let action = "make the bridge \(name)"
    let socket = try NetlinkSocket(groups: 0)
    // struct ifinfomsg: family, type, index, flags, changed flags.
    let up = NetlinkMessage.bytes(of: 1)
    var body = [UInt8](repeating: 0, count: 8) + up + up
    body += NetlinkAttribute(3, Array(name.utf8) + [0]).bytes  // IFLA_IFNAME
    let kind = NetlinkAttribute(1, Array("bridge".utf8) + [0]).bytes  // IFLA_INFO_KIND
    let data = NetlinkAttribute(2, NetlinkAttribute(23, [0]).bytes).bytes  // IFLA_INFO_DATA: IFLA_BR_MCAST_SNOOPING
    body += NetlinkAttribute(18, kind + data).bytes  // IFLA_LINKINFO
    // RTM_NEWLINK with NLM_F_ACK, NLM_F_EXCL and NLM_F_CREATE.
    guard socket.send(type: 16, flags: 0x4 | 0x200 | 0x400, body: body), let answer = socket.receive(),
      let code = NetlinkMessage(answer[...])?.errorCode
    else { throw Failure(action, errno: errno) }
    // A kernel without bridges does not know the kind.
    guard code == 0 else {
      throw Failure(action, errno: code, fix: code == EOPNOTSUPP ? "Load the module: sudo modprobe bridge" : nil)
    }
  }
}
