import Failures
import Glibc

/// The user and group that a process started by root becomes, for `--user`.
public struct UserIdentity: Sendable, Equatable {
  public let user: uid_t
  public let group: gid_t

  /// Reads NAME, NAME:GID, UID or UID:GID, and looks the name up.
  public init(_ text: String) throws(Failure) {
    let action = "read --user \(text)"
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let name = parts.first, !name.isEmpty else {
      throw Failure(action, cause: "the user is missing", fix: "Use a name, or numbers such as 65534:65534.")
    }
    let number = Self.identifier(name)
    let entry = number.map { getpwuid($0) } ?? getpwnam(name)
    guard let user = number ?? entry?.pointee.pw_uid else {
      throw Failure(action, cause: "there is no user '\(name)'", fix: "List the users with: getent passwd")
    }
    self.user = user
    if parts.count > 1 {
      guard let group = Self.identifier(parts[1]) else {
        throw Failure(action, cause: "'\(parts[1])' is not the number of a group", fix: "Find it with: getent group")
      }
      self.group = group
    } else {
      guard let group = entry?.pointee.pw_gid else {
        throw Failure(
          action, cause: "no user has the number \(user), so its group is unknown",
          fix: "Add the group: --user \(user):\(user)")
      }
      self.group = group
    }
    guard geteuid() == 0 else {
      throw Failure(action, cause: "only root can change the identity of a process", fix: "Use sudo, or leave it out.")
    }
  }

  /// -1 means "no change" to the kernel, so it is not a user or group.
  private static func identifier(_ text: String) -> UInt32? {
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt32(text), number != .max else {
      return nil
    }
    return number
  }
}
