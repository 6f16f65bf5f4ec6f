import CLinux

/// What this host can enforce, for `swiftlet doctor`.
extension Sandbox {
  /// A part of the sandbox, and the reason why the host lacks it; nil if the host has it.
  public typealias Support = (part: String, reason: String?)

  static let noSeccomp = "the kernel is built without CONFIG_SECCOMP_FILTER, or a container hides it"

  /// Asks the kernel, and changes nothing.
  public static var support: [Support] {
    let landlock = Landlock.current
    var parts: [Support] = []
    if landlock.abi > 0 {
      parts.append(("Landlock ABI \(landlock.abi)", nil))
    } else {
      parts.append(("Landlock", landlock.reason))
    }
    if landlock.abi > 0, !landlock.missing.isEmpty {
      parts.append((landlock.missingText, "a newer kernel has it"))
    }
    parts.append(("seccomp filters", clinux_has_seccomp() != 0 ? nil : noSeccomp))
    parts.append(("no_new_privs", clinux_has_no_new_privileges() >= 0 ? nil : "the kernel is older than 3.5"))
    return parts
  }
}
