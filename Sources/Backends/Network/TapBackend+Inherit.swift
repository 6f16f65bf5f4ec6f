import CLinux
import Failures
import Glibc

/// Taps by descriptor: a parent process opened the tap, so this process needs no right to do so.
extension TapBackend {
  /// A queue of a tap that the parent process opened, checked and ready for frames with a vnet header.
  public struct Inherited: Sendable, Equatable {
    public let descriptor: Int32
    public let interface: String
    /// The interface's hardware address. With the name it identifies the interface across network namespaces.
    let address: [UInt8]
    /// The interface's index; nil if the interface is in another network namespace than this process.
    public let index: Int32?

    /// Whether `other` is the same interface. A copy made by dup(2) would take frames from the first descriptor.
    public func isSameTap(as other: Inherited) -> Bool { interface == other.interface && address == other.address }
  }

  private static let example = "Attach it with TUNSETIFF and IFF_TAP | IFF_NO_PI | IFF_VNET_HDR before you pass it."

  /// Checks that this process inherited `descriptor` and that it is a tap, and prepares it.
  public static func inherit(_ descriptor: Int32) throws(Failure) -> Inherited {
    let action = "use descriptor \(descriptor) as a tap"
    let flags = fcntl(descriptor, F_GETFD)
    // Descriptors that swiftlet opens are closed on exec; inherited ones cannot be.
    guard flags >= 0, flags & FD_CLOEXEC == 0 else {
      throw Failure(
        action, cause: "this process inherited no such descriptor",
        fix: "Start swiftlet from a program that opened the tap, without close-on-exec, and give that number to fd=.")
    }
    guard fcntl(descriptor, F_GETFL) & O_ACCMODE == O_RDWR else {
      throw Failure(action, cause: "it is not open for both reading and writing", fix: "Open it with O_RDWR.")
    }
    let (interface, address, mode) = try describe(descriptor, action)
    guard mode & UInt32(CLINUX_IFF_TAP) != 0 else {
      throw Failure(
        action, cause: "\(interface) is a tun, which carries IP packets instead of Ethernet frames", fix: example)
    }
    guard mode & UInt32(CLINUX_IFF_VNET_HDR) != 0 else {
      throw Failure(action, cause: "\(interface) was attached without a vnet header on its frames", fix: example)
    }
    let link = try HostLink.named(interface)
    // An interface of the same name in this process's own namespace may be another one.
    let own = link?.address == address ? link : nil
    // TUNGETIFF does not tell: it uses the bit of IFF_NO_PI for something else.
    guard own?.tun?.hasPacketInformation != true else {
      throw Failure(action, cause: "\(interface) was attached with packet information before its frames", fix: example)
    }
    let fix = "Pass another descriptor, or let swiftlet open the tap: interface=\(interface)"
    try systemCall(action, fix: fix) { clinux_tap_set_header_size(descriptor, Int32(VirtioHeader.size)) }
    try systemCall(action, fix: fix) { fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) }
    // Only now, so that a refused descriptor stays as it was.
    try systemCall(action, fix: fix) { fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) }
    return Inherited(descriptor: descriptor, interface: interface, address: address, index: own?.index)
  }

  private static func describe(
    _ descriptor: Int32, _ action: String
  ) throws(Failure) -> (interface: String, address: [UInt8], mode: UInt32) {
    var name = [CChar](repeating: 0, count: 16)
    var address = [UInt8](repeating: 0, count: 6)
    var mode: UInt32 = 0
    guard clinux_tap_describe(descriptor, &name, &address, &mode) >= 0 else {
      let hasNoInterface = errno == EBADFD
      throw Failure(
        action, cause: hasNoInterface ? "it is /dev/net/tun without an interface" : "it is not a tap",
        fix: hasNoInterface ? example : "Pass /dev/net/tun after TUNSETIFF, or the /dev/tapN of a macvtap.")
    }
    return (String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self), address, mode)
  }
}
