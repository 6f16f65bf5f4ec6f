import Failures
import Glibc

/// A network interface of the host, as the kernel reports it (rtnetlink(7), RTM_NEWLINK).
public struct HostLink: Sendable, Equatable {
  /// The settings of a tun device (IFLA_INFO_DATA of the kind "tun").
  public struct Tun: Sendable, Equatable {
    /// A tap carries Ethernet frames; any other tun device carries IP packets.
    public var isTap = false
    public var isMultiQueue = false
    /// Every frame has a struct tun_pi in front.
    public var hasPacketInformation = false
    /// The user and the group that may open it; nil means no restriction.
    public var owner: uid_t?
    public var group: gid_t?
  }

  public var index: Int32
  public var name = ""
  /// The hardware address; empty if it has none.
  public var address: [UInt8] = []
  /// IFF_* bits.
  public var flags: UInt32
  /// The index of the bridge that it is a port of.
  public var master: Int32?
  /// The kind that the driver reports, for example "bridge", "tun" or "veth"; empty for hardware.
  public var kind = ""
  /// Nil if it is not a tun device.
  public var tun: Tun?

  /// The administrator has set it up (IFF_UP).
  public var isUp: Bool { flags & 1 != 0 }
  /// It is up and has a carrier (IFF_LOWER_UP).
  public var hasCarrier: Bool { flags & 0x1_0000 != 0 }

  /// The interface `name` in the caller's network namespace; nil if there is none.
  public static func named(_ name: String) throws(Failure) -> HostLink? {
    // IFLA_IFNAME.
    try ask(
      "look up the interface \(name)", index: 0, attributes: NetlinkAttribute(3, Array(name.utf8) + [0]).bytes,
      through: NetlinkSocket(groups: 0))
  }

  /// The interface with `index` in the network namespace of `socket`, even if it was renamed; nil if it was deleted.
  static func at(_ index: Int32, through socket: NetlinkSocket) throws(Failure) -> HostLink? {
    try ask("look up interface \(index)", index: index, attributes: [], through: socket)
  }

  private static func ask(
    _ action: String, index: Int32, attributes: [UInt8], through socket: NetlinkSocket
  ) throws(Failure) -> HostLink? {
    // An earlier question may have failed before its answer came.
    while socket.receive() != nil {}
    // RTM_GETLINK with a struct ifinfomsg.
    let body = [0, 0, 0, 0] + NetlinkMessage.bytes(of: UInt32(bitPattern: index)) + [UInt8](repeating: 0, count: 8)
    guard socket.send(type: 18, body: body + attributes), let answer = socket.receive() else {
      throw Failure(action, errno: errno)
    }
    guard let message = NetlinkMessage(answer[...]) else { throw Failure(action, cause: "the kernel gave no answer") }
    if let code = message.errorCode {
      if code == ENODEV { return nil }
      throw Failure(action, errno: code)
    }
    guard let link = HostLink(message) else { throw Failure(action, cause: "the kernel's answer has no interface") }
    return link
  }

  /// Returns nil if `message` is not an RTM_NEWLINK.
  init?(_ message: NetlinkMessage) {
    guard message.type == 16, message.body.count >= 16 else { return nil }
    let body = message.body
    index = Int32(bitPattern: NetlinkMessage.word(body, 4))
    flags = NetlinkMessage.word(body, 8)
    for attribute in NetlinkAttribute.all(in: body.dropFirst(16)) {
      switch attribute.type {
      case 1: address = attribute.value  // IFLA_ADDRESS
      case 3: name = attribute.text  // IFLA_IFNAME
      case 10: master = Int32(bitPattern: attribute.number)  // IFLA_MASTER
      case 18: readInformation(attribute)  // IFLA_LINKINFO
      default: break
      }
    }
  }

  private mutating func readInformation(_ information: NetlinkAttribute) {
    let parts = NetlinkAttribute.all(in: information.value[...])
    kind = parts.first { $0.type == 1 }?.text ?? ""  // IFLA_INFO_KIND
    tun = nil
    guard kind == "tun", let data = parts.first(where: { $0.type == 2 }) else { return }  // IFLA_INFO_DATA
    var tun = Tun()
    for setting in NetlinkAttribute.all(in: data.value[...]) {
      switch setting.type {
      case 1: tun.owner = setting.number  // IFLA_TUN_OWNER
      case 2: tun.group = setting.number  // IFLA_TUN_GROUP
      case 3: tun.isTap = setting.number == 2  // IFLA_TUN_TYPE: IFF_TAP
      case 4: tun.hasPacketInformation = setting.number != 0  // IFLA_TUN_PI
      case 7: tun.isMultiQueue = setting.number != 0  // IFLA_TUN_MULTI_QUEUE
      default: break
      }
    }
    self.tun = tun
  }
}
