#if canImport(Glibc)
  import Glibc
#endif

/// The running executable, for the commands in error messages.
public enum Program {
  /// Its absolute path, because `sudo` uses another PATH than the user's shell.
  public static let path: String = {
    guard let resolved = realpath("/proc/self/exe", nil) else { return "swiftlet" }
    defer { free(resolved) }
    return String(cString: resolved)
  }()
}
