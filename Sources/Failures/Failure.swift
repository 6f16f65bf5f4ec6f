#if canImport(Glibc)
  import Glibc
#endif

/// A user-facing error: what failed, on what, why, and the command that fixes it. It prints as one line.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  /// The action that failed and its object, for example `open /dev/kvm`.
  public var action: String
  /// The reason, in words.
  public var cause: String
  /// The user's remedy, preferably a command.
  public var fix: String?

  public init(_ action: String, cause: String, fix: String? = nil) {
    self.action = action
    self.cause = cause
    self.fix = fix
  }

  /// A failed system call: the cause is the text of `errno`.
  public init(_ action: String, errno code: Int32, fix: String? = nil) {
    self.init(action, cause: String(cString: strerror(code)), fix: fix)
  }

  public var description: String {
    guard let fix else { return "\(action): \(cause)." }
    return "\(action): \(cause). \(fix)"
  }
}

/// Runs a system call, and repeats it after EINTR.
///
/// - Returns: the call's result, never negative.
/// - Throws: `Failure` with the text of `errno`.
@discardableResult
public func systemCall(
  _ action: @autoclosure () -> String, fix: @autoclosure () -> String? = nil, _ body: () -> Int32
) throws(Failure) -> Int32 {
  while true {
    let result = body()
    if result >= 0 { return result }
    let code = errno
    if code == EINTR { continue }
    throw Failure(action(), errno: code, fix: fix())
  }
}
