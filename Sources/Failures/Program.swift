#if canImport(Glibc)
  import Glibc
#endif

/// The running executable, for the commands that fix a failure.
public enum Program {
  /// Its whole path: `sudo` does not look where the user's shell does.
  public static let path: String = {
    guard let resolved = realpath("/proc/self/exe", nil) else { return "swiftlet" }
    defer { free(resolved) }
    return String(cString: resolved)
  }()
}
