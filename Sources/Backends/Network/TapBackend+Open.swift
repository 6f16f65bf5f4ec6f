import CLinux
import Failures
import Glibc

/// Opens a tap. It looks at the interface first, so that a refusal can name the cause and the fix.
extension TapBackend {
  /// Whether the kernel allows `name` as it stands. It would number "tap%d" by itself.
  public static func isInterfaceName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count < 16 && name != "." && name != ".."
      && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"/:%".utf8.contains($0) }
  }

  /// An open descriptor of the tap `interface`, and the interface's index.
  static func open(_ interface: String, isMade: Bool) throws(Failure) -> (descriptor: Int32, index: Int32) {
    guard isInterfaceName(interface) else {
      throw Failure(
        "open the tap '\(interface)'",
        cause: "an interface name has 1 to 15 characters, none of them a space, / : or %",
        fix: "List the interfaces with: ip link")
    }
    let action = "open the tap \(interface)"
    let existing = try HostLink.named(interface)
    if let existing { try check(existing, action) }
    // TUNSETIFF would make one, and a misspelt name would be a tap without a bridge.
    guard existing != nil || isMade else {
      throw Failure(
        action, cause: "there is no such interface",
        fix: "Make a bridge with taps of yours: sudo \(Program.path) network up, "
          + "or let this run make a tap without a bridge, as root: create=on")
    }
    let descriptor = clinux_open("/dev/net/tun", O_RDWR | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      throw Failure(
        action, cause: "/dev/net/tun: \(String(cString: strerror(code)))",
        fix: code == EACCES
          ? "Let your user open it: sudo chmod 0666 /dev/net/tun" : "Load the module: sudo modprobe tun")
    }
    do throws(Failure) {
      guard clinux_tap_attach(descriptor, interface) >= 0 else { throw refusal(errno, existing, interface) }
      guard clinux_tap_set_header_size(descriptor, Int32(VirtioHeader.size)) >= 0 else {
        throw Failure(action, errno: errno, fix: "Make others: sudo \(Program.path) network up")
      }
      if let existing { return (descriptor, existing.index) }
      guard clinux_interface_set_up(interface) >= 0 else {
        throw Failure("set \(interface) up", errno: errno, fix: "Try it: sudo ip link set \(interface) up")
      }
      guard let made = try HostLink.named(interface) else { throw Failure(action, errno: ENODEV) }
      return (descriptor, made.index)
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// Refuses what is no tap of one queue.
  private static func check(_ link: HostLink, _ action: String) throws(Failure) {
    let other = "Name a tap; this makes a bridge with taps of yours: sudo \(Program.path) network up"
    guard let tun = link.tun else {
      let kind = link.kind.isEmpty ? "another kind of interface" : "a \(link.kind)"
      throw Failure(action, cause: "it is not a tap but \(kind)", fix: other)
    }
    guard tun.isTap else {
      throw Failure(action, cause: "it is a tun, which carries IP packets and no Ethernet frames", fix: other)
    }
    guard !tun.isMultiQueue else {
      throw Failure(
        action, cause: "it is a multi-queue tap, and a NIC here reads one queue",
        fix: "Make it without: sudo ip tuntap del \(link.name) mode tap multi_queue && "
          + "sudo ip tuntap add \(link.name) mode tap user $USER && sudo ip link set \(link.name) up")
    }
  }

  /// Why TUNSETIFF said `code`.
  private static func refusal(_ code: Int32, _ existing: HostLink?, _ interface: String) -> Failure {
    let action = "open the tap \(interface)"
    switch (code, existing) {
    case (EPERM, nil):
      return Failure(
        action, cause: "there is no such interface, and making one needs CAP_NET_ADMIN",
        fix: "Make a bridge with taps of yours: sudo \(Program.path) network up")
    case (EPERM, let link?):
      return Failure(
        action, cause: "it belongs to \(holder(link.tun))",
        fix: "Make one of your own: sudo ip tuntap add NAME mode tap user $USER && sudo ip link set NAME up")
    case (EBUSY, _):
      return Failure(action, cause: "another process has it open", fix: "Give each VM its own tap.")
    default: return Failure(action, errno: code)
    }
  }

  /// Who may open a tap, in words.
  private static func holder(_ tun: HostLink.Tun?) -> String {
    if let owner = tun?.owner, owner != geteuid() {
      return getpwuid(owner).map { "the user \(String(cString: $0.pointee.pw_name))" } ?? "the user \(owner)"
    }
    guard let group = tun?.group else { return "somebody else" }
    return getgrgid(group).map { "the group \(String(cString: $0.pointee.gr_name))" } ?? "the group \(group)"
  }
}
