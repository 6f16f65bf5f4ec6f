import CLinux
import Failures
import Glibc

/// Opens a tap. It examines the interface first, so that an error can name the cause and the fix.
extension TapBackend {
  /// Whether the kernel accepts `name` literally. It would replace the %d in "tap%d" by a number.
  public static func isInterfaceName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count < 16 && name != "." && name != ".."
      && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"/:%".utf8.contains($0) }
  }

  /// An open descriptor of the tap `interface`, and the interface's index. The caller closes the descriptor.
  public static func open(_ interface: String, isMade: Bool) throws(Failure) -> (descriptor: Int32, index: Int32) {
    guard isInterfaceName(interface) else {
      throw Failure(
        "open the tap '\(interface)'",
        cause: "an interface name has 1 to 15 characters and no space, / : or %",
        fix: "List the interfaces with: ip link")
    }
    let action = "open the tap \(interface)"
    let existing = try HostLink.named(interface)
    if let existing { try check(existing, action) }
    // TUNSETIFF would create the interface, so a misspelt name would become a tap without a bridge.
    guard existing != nil || isMade else {
      throw Failure(
        action, cause: "there is no such interface",
        fix: "Create a bridge with taps for your user: sudo \(Program.path) network up, "
          + "or let this run create a tap without a bridge, as root: create=on")
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
        throw Failure(action, errno: errno, fix: "Create other taps: sudo \(Program.path) network up")
      }
      if let existing { return (descriptor, existing.index) }
      guard clinux_interface_set_up(interface) >= 0 else {
        throw Failure("set \(interface) up", errno: errno, fix: "Try by hand: sudo ip link set \(interface) up")
      }
      guard let made = try HostLink.named(interface) else { throw Failure(action, errno: ENODEV) }
      return (descriptor, made.index)
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// Throws unless `link` is a tap with one queue.
  private static func check(_ link: HostLink, _ action: String) throws(Failure) {
    let other = "Name a tap. To create a bridge with taps for your user: sudo \(Program.path) network up"
    guard let tun = link.tun else {
      let kind = link.kind.isEmpty ? "another kind of interface" : "a \(link.kind)"
      throw Failure(action, cause: "it is not a tap but \(kind)", fix: other)
    }
    guard tun.isTap else {
      throw Failure(action, cause: "it is a tun, which carries IP packets instead of Ethernet frames", fix: other)
    }
    guard !tun.isMultiQueue else {
      throw Failure(
        action, cause: "it is a multi-queue tap, and swiftlet reads only one queue",
        fix: "Create it again with one queue: sudo ip tuntap del \(link.name) mode tap multi_queue && "
          + "sudo ip tuntap add \(link.name) mode tap user $USER && sudo ip link set \(link.name) up")
    }
  }

  /// The error for a TUNSETIFF that failed with `code`.
  private static func refusal(_ code: Int32, _ existing: HostLink?, _ interface: String) -> Failure {
    let action = "open the tap \(interface)"
    switch (code, existing) {
    case (EPERM, nil):
      return Failure(
        action, cause: "there is no such interface, and creating one needs CAP_NET_ADMIN",
        fix: "Create a bridge with taps for your user: sudo \(Program.path) network up")
    case (EPERM, let link?):
      return Failure(
        action, cause: "it belongs to \(holder(link.tun))",
        fix: "Create your own: sudo ip tuntap add NAME mode tap user $USER && sudo ip link set NAME up")
    case (EBUSY, _):
      return Failure(action, cause: "another process has it open", fix: "Give each VM its own tap.")
    default: return Failure(action, errno: code)
    }
  }

  /// Describes the user or group that may open a tap.
  private static func holder(_ tun: HostLink.Tun?) -> String {
    if let owner = tun?.owner, owner != geteuid() {
      return getpwuid(owner).map { "the user \(String(cString: $0.pointee.pw_name))" } ?? "the user \(owner)"
    }
    guard let group = tun?.group else { return "another user" }
    return getgrgid(group).map { "the group \(String(cString: $0.pointee.gr_name))" } ?? "the group \(group)"
  }
}
