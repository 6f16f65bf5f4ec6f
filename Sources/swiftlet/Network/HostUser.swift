import Failures
import Foundation

/// A user of the host.
struct HostUser {
  let id: uid_t
  let name: String

  /// - Parameter name: a name or a number; nil for the calling user, which under sudo is the user who ran sudo.
  init(named name: String?) throws(Failure) {
    let caller = geteuid() == 0 ? ProcessInfo.processInfo.environment["SUDO_USER"] : nil
    let wanted = name ?? caller ?? "\(getuid())"
    if let entry = getpwnam(wanted) {
      id = entry.pointee.pw_uid
      self.name = wanted
    } else if let number = uid_t(wanted), number != uid_t.max {
      id = number
      self.name = getpwuid(number).map { String(cString: $0.pointee.pw_name) } ?? wanted
    } else {
      throw Failure(
        "assign the taps to the user \(wanted)", cause: "there is no such user",
        fix: "List the users: getent passwd | cut -d: -f1")
    }
  }
}
