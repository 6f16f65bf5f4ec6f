import Failures
import Glibc

/// Files that a run writes, new ones or old ones.
enum OutputFile {
  /// Opens the file at `path`, and tells whether this call made it: of two runs that name the same new file one does.
  static func open(_ path: String, flags: Int32, _ action: String) throws(Failure) -> (descriptor: Int32, isMade: Bool)
  {
    let made = Glibc.open(path, flags | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    if made >= 0 { return (made, true) }
    let mend = "Name a file in a folder you may write to."
    return (try systemCall(action, mend: mend) { Glibc.open(path, flags | O_CREAT | O_CLOEXEC, 0o644) }, false)
  }
}
