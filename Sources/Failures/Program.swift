#if canImport(Glibc)
  import Glibc
#endif

/// The running executable.
public enum Program {
  /// Its absolute path for the commands in error messages, because `sudo` uses another PATH than the user's shell.
  public static let path: String = {
    guard let resolved = realpath("/proc/self/exe", nil) else { return "swiftlet" }
    defer { free(resolved) }
    return String(cString: resolved)
  }()

  /// A path by which children of this process can start it again, also when its file has been replaced.
  public static let again = "/proc/\(getpid())/exe"
}
