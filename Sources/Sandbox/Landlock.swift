import CLinux
import Failures
import Glibc

/// Landlock (Documentation/userspace-api/landlock.rst of Linux): takes away rights that a process has by its identity.
///
/// There is no exception: `swiftlet run` has opened everything, and descriptors keep the rights that they were opened with.
public struct Landlock: Sendable, Equatable {
  /// The kernel's ABI; 0 if it has no Landlock.
  public let abi: Int
  /// Why it has none.
  public let reason: String

  /// Asks the kernel.
  public static var current: Landlock {
    let abi = clinux_landlock_abi()
    return Landlock(abi: max(0, Int(abi)), code: abi < 0 ? errno : 0)
  }

  init(abi: Int, code: Int32 = 0) {
    self.abi = abi
    reason =
      switch code {
      case 0: ""
      case ENOSYS: "the kernel is older than 5.13 or built without it (CONFIG_SECURITY_LANDLOCK)"
      case EOPNOTSUPP: "the kernel has it, but does not use it: add landlock to lsm= on the host's command line"
      default: "\(String(cString: strerror(code))), perhaps by a container's own seccomp filter"
      }
  }

  /// LANDLOCK_ACCESS_FS_*, LANDLOCK_ACCESS_NET_* and LANDLOCK_SCOPE_* that an ABI added, and their description.
  private static let steps: [(abi: Int, files: UInt64, network: UInt64, scopes: UInt64, what: String)] = [
    (1, 0x1FFF, 0, 0, "opening, creating and executing files"),
    (2, 1 << 13, 0, 0, "moving files between directories"),
    (3, 1 << 14, 0, 0, "truncating files"),
    (4, 0, 0x3, 0, "TCP"),
    (5, 1 << 15, 0, 0, "ioctls of devices"),
    (6, 0, 0, 0x3, "abstract Unix sockets and signals to other processes"),
  ]

  /// The rights that the kernel can take away, as Landlock's three masks.
  var rights: (files: UInt64, network: UInt64, scopes: UInt64) {
    Self.steps.filter { $0.abi <= abi }.reduce((0, 0, 0)) { ($0.0 | $1.files, $0.1 | $1.network, $0.2 | $1.scopes) }
  }

  /// What the kernel cannot take away, because its ABI is too old.
  public var missing: [String] { Self.steps.filter { $0.abi > abi }.map(\.what) }

  var missingText: String { "Landlock's control of \(missing.joined(separator: ", "))" }

  /// Confines the calling thread and the threads that it starts.
  func enforce() throws(Failure) {
    let rights = rights
    try systemCall("confine this process by Landlock", fix: Sandbox.withoutIt) {
      clinux_landlock_deny(rights.files, rights.network, rights.scopes)
    }
  }
}
