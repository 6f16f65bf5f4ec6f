/// One interface of the host, decoded from the output of `ip -j -d address show`.
struct HostInterface: Decodable {
  struct Address: Decodable {
    var local: String?
    var prefixlen: Int?
    var scope: String?
  }
  struct Information: Decodable {
    private enum CodingKeys: String, CodingKey {
      case kind = "info_kind"
      case settings = "info_data"
    }
    var kind: String?
    var settings: Settings?
  }
  /// The settings of a tun device. Other kinds have other settings, which are ignored.
  struct Settings: Decodable {
    private enum Key: CodingKey { case type, user }
    var type: String?
    /// The user's name, or the user's number if there is no name.
    var user: String?

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: Key.self)
      type = try? values.decode(String.self, forKey: .type)
      user =
        (try? values.decode(String.self, forKey: .user))
        ?? (try? values.decode(UInt32.self, forKey: .user)).map(String.init)
    }
  }

  private enum CodingKeys: String, CodingKey {
    case ifname, flags, mtu, master, ifalias
    case information = "linkinfo"
    case given = "addr_info"
  }

  var ifname: String
  var flags: [String]
  var mtu: Int
  var master: String?
  var ifalias: String?
  var information: Information?
  var given: [Address]?

  var isUp: Bool { flags.contains("UP") }
  /// It is up and has a carrier. A tap has a carrier while a process has it open.
  var hasCarrier: Bool { flags.contains("LOWER_UP") }
  var isBridge: Bool { information?.kind == "bridge" }
  var isTap: Bool { information?.kind == "tun" && information?.settings?.type == "tap" }
  /// The tap's owner; nil if anybody may open it.
  var user: String? { information?.settings?.user }

  /// The configured addresses. Link-local addresses are left out, because the kernel assigns them itself.
  var addresses: [InterfaceAddress] {
    (given ?? []).filter { $0.scope != "link" }.compactMap { address in
      guard let local = address.local, let bits = address.prefixlen else { return nil }
      return try? InterfaceAddress("\(local)/\(bits)")
    }
  }
}
