import Backends
import Failures

/// A bridge of the host and its taps. All of them have a mark (an alias) that identifies them.
struct HostNetwork {
  /// The network that `up` sets up.
  struct Plan {
    var taps: [String]
    var address: InterfaceAddress
    var owner: HostUser
    /// In bytes; nil leaves it unchanged.
    var mtu: Int?
  }

  let bridge: String

  init(bridge: String) throws(Failure) {
    guard TapBackend.isInterfaceName(bridge), Self.tap(bridge, 0).utf8.count <= 15, bridge.first != "-",
      bridge.utf8.allSatisfy({ Character(UnicodeScalar($0)).isLetter || "0123456789-_.".utf8.contains($0) })
    else {
      throw Failure(
        "name the bridge '\(bridge)'",
        cause: "it takes 1 to 10 letters, digits, - _ and ., because BRIDGE-tap0 has at most 15",
        fix: "Use --bridge swiftlet0.")
    }
    self.bridge = bridge
  }

  private static func tap(_ bridge: String, _ number: Int) -> String { "\(bridge)-tap\(number)" }

  /// The names of `count` taps.
  func tapNames(_ count: Int) throws(Failure) -> [String] {
    let longest = Self.tap(bridge, max(0, count - 1)).utf8.count
    guard (1...64).contains(count), longest <= 15 else {
      throw Failure(
        "create \(count) taps on \(bridge)",
        cause: "there may be 1 to 64, and the last one's name may have at most 15 characters",
        fix: "Use --taps 2, or a shorter --bridge.")
    }
    return (0..<count).map { Self.tap(bridge, $0) }
  }

  /// Checks `mtu`. A tap allows 68 bytes up to the largest IP packet minus an Ethernet header.
  static func checked(mtu: Int?) throws(Failure) -> Int? {
    if let mtu, !(68...65_521).contains(mtu) {
      throw Failure("use an MTU of \(mtu)", cause: "a tap allows 68 to 65521", fix: "Use --mtu 1500 or --mtu 9000.")
    }
    return mtu
  }

  private var mark: String { "swiftlet:\(bridge)" }

  private func isOurs(_ interface: HostInterface) -> Bool { interface.ifalias == mark }

  // MARK: Up

  func up(_ plan: Plan) throws(Failure) {
    let action = "create the network \(bridge)"
    let before = try IPProgram.interfaces()
    try check(plan, before, action)
    func isMissing(_ name: String) -> Bool { !before.contains { $0.ifname == name } }
    var commands: [[String]] = []
    if isMissing(bridge) {
      // Ports forward at once, and multicast goes to all ports, as on a simple switch.
      commands.append(["link", "add", "name", bridge, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"])
      commands.append(["link", "set", "dev", bridge, "alias", mark])
    }
    let mtu = plan.mtu.map { ["mtu", "\($0)"] } ?? []
    for tap in plan.taps {
      if isMissing(tap) {
        commands.append(["tuntap", "add", "dev", tap, "mode", "tap", "user", "\(plan.owner.id)"])
        commands.append(["link", "set", "dev", tap, "alias", mark])
      }
      commands.append(["link", "set", "dev", tap] + mtu + ["master", bridge, "up"])
    }
    commands.append(["address", "replace", "\(plan.address)", "dev", bridge])
    commands.append(["link", "set", "dev", bridge] + mtu + ["up"])
    do throws(Failure) {
      try IPProgram.change(commands, action: action)
    } catch {
      let names = Set(before.map(\.ifname))
      for made in (try? IPProgram.interfaces()) ?? [] where isOurs(made) && !names.contains(made.ifname) {
        _ = try? IPProgram.delete(made.ifname, action: action)
      }
      throw error
    }
  }

  /// Throws if a foreign interface has a needed name or address, or if existing parts do not match the plan.
  private func check(_ plan: Plan, _ interfaces: [HostInterface], _ action: String) throws(Failure) {
    for interface in interfaces {
      let name = interface.ifname
      if name == bridge || plan.taps.contains(name) {
        guard isOurs(interface), name == bridge ? interface.isBridge : interface.isTap else {
          throw Failure(
            action, cause: "there is an interface \(name) that this command did not create",
            fix: "Name another bridge with --bridge NAME.")
        }
      }
      if plan.taps.contains(name), interface.user != plan.owner.name, interface.user != "\(plan.owner.id)" {
        throw otherwise(action, "\(name) belongs to \(interface.user ?? "nobody"), not to \(plan.owner.name)")
      }
      if name == bridge, let other = interface.addresses.first(where: { $0 != plan.address }) {
        throw otherwise(action, "\(name) has the address \(other), not \(plan.address)")
      }
      if name != bridge, interface.addresses.contains(where: { $0.host == plan.address.host }) {
        throw Failure(
          action, cause: "\(name) has the address \(plan.address.host)",
          fix: "Choose another network, for example with --address 10.74.0.1/24.")
      }
    }
  }

  private func otherwise(_ action: String, _ cause: String) -> Failure {
    Failure(
      action, cause: cause, fix: "Remove the network first: sudo \(Program.path) network down --bridge \(bridge)")
  }

  // MARK: Down and status

  /// Removes all interfaces with the mark. Returns their names.
  func down() throws(Failure) -> [String] {
    let action = "remove the network \(bridge)"
    let interfaces = try IPProgram.interfaces()
    if let foreign = interfaces.first(where: { $0.ifname == bridge && !isOurs($0) }) {
      throw Failure(
        action, cause: "this command did not create \(foreign.ifname)",
        fix: "If nobody needs it: sudo ip link delete \(foreign.ifname)")
    }
    var removed: [String] = []
    // Remove the taps first: an interrupted `down` then never leaves taps without their bridge.
    for interface in interfaces.filter(isOurs).sorted(by: { !$0.isBridge && $1.isBridge })
    where try IPProgram.delete(interface.ifname, action: action) {
      removed.append(interface.ifname)
    }
    return removed
  }

  /// A line for the bridge and one for each tap.
  func status() throws(Failure) -> String {
    let interfaces = try IPProgram.interfaces()
    let parts = interfaces.filter { $0.ifname == bridge || isOurs($0) || $0.master == bridge }
    let again = "sudo \(Program.path) network up --bridge \(bridge)"
    guard !parts.isEmpty else {
      throw Failure("show the network \(bridge)", cause: "there is no such bridge", fix: "Create it: \(again)")
    }
    let holders = TapHolder.all()
    var lines: [String] = []
    if !parts.contains(where: { $0.ifname == bridge }) { lines.append("\(bridge): missing. Create it: \(again)") }
    for part in parts {
      var words = ["\(part.ifname): \(part.isBridge ? "bridge" : part.isTap ? "tap" : "port")"]
      if part.isTap { words[0] += part.user.map { " of \($0)" } ?? " of anybody" }
      if !isOurs(part) { words.append("not created by this command") }
      words.append(part.isUp ? "up" : "down")
      words.append("mtu \(part.mtu)")
      words += part.addresses.map(\.description)
      if part.isTap {
        if part.master != bridge { words.append("not on the bridge") }
        let isOpen = part.hasCarrier ? "in use" : "free"
        words.append(holders[part.ifname].map { "in use by \($0)" } ?? isOpen)
      }
      lines.append(words.joined(separator: ", "))
    }
    return lines.joined(separator: "\n")
  }
}
