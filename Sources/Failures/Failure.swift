#if canImport(Glibc)
  import Glibc
#endif

/// An error for a person: what failed, on what, why, and the command that mends it.
///
/// One type serves the whole project; it prints as one line.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  /// What was being done and to what, as `open /dev/kvm`.
  public var action: String
  /// Why it failed, in words.
  public var cause: String
  /// What the person can do about it, preferably a command.
  public var mend: String?

  public init(_ action: String, cause: String, mend: String? = nil) {
    self.action = action
    self.cause = cause
    self.mend = mend
  }

  /// A failed system call: the cause is the text of `errno`.
  public init(_ action: String, errno code: Int32, mend: String? = nil) {
    self.init(action, cause: String(cString: strerror(code)), mend: mend)
  }

  public var description: String {
    guard let mend else { return "\(action): \(cause)." }
    return "\(action): \(cause). \(mend)"
  }
}

/// Runs a system call again while a signal interrupts it: the one place that deals with EINTR.
///
/// - Returns: the call's result, never negative.
/// - Throws: `Failure` with the text of `errno`.
@discardableResult
public func systemCall(
  _ action: @autoclosure () -> String, mend: @autoclosure () -> String? = nil, _ body: () -> Int32
) throws(Failure) -> Int32 {
  while true {
    let result = body()
    if result >= 0 { return result }
    let code = errno
    if code == EINTR { continue }
    throw Failure(action(), errno: code, mend: mend())
  }
}
