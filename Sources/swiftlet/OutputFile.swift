import Failures
import Foundation

/// Files that a run is asked to write.
enum OutputFile {
  /// Finds out whether `path` could be written, without touching it.
  static func check(_ path: String, what: String, option: String) throws(Failure) {
    var isDirectory: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
    let folder = URL(filePath: path).deletingLastPathComponent().path
    let cause: String
    if exists, isDirectory.boolValue {
      cause = "it is a directory"
    } else if exists ? access(path, W_OK) == 0 : !path.isEmpty && access(folder, W_OK | X_OK) == 0 {
      return
    } else {
      cause = exists ? "it may not be written" : String(cString: strerror(errno))
    }
    throw Failure("write the \(what) to \(path)", cause: cause, fix: "Name a file you may write to with \(option).")
  }
}
