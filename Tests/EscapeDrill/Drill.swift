import CLinux
import Failures
import Glibc
import Sandbox
import Threads

/// A process in the confinement of `swiftlet run` that attempts one thing: `escape-drill ATTEMPT LAYERS KIND FOLDER`.
///
/// The status is 0 if the attempt succeeded, and 20 if it failed; standard output then has errno. The sandbox ends the
/// process with 6. `SandboxTests` runs it.
@main
enum Drill {
  static func main() {
    let words = CommandLine.arguments
    guard words.count == 5, let layers = layers[words[2]], let kind = kinds[words[3]] else { end(30, "usage") }
    let preparation = Preparation(folder: words[4])
    guard let attempt = Attempt.all[words[1]] else { end(30, "there is no attempt '\(words[1])'") }
    do {
      // Like `swiftlet run`: open everything, drop the rights, start the threads, confine each, and go.
      let body = try attempt(preparation)
      let confinement = ThreadConfinement(try Sandbox(reserve: 8, layers: layers))
      guard kind != .main else {
        try confinement.release()
        conclude(body())
      }
      let prepare = confinement.entering(kind)
      let thread = BackgroundThread {
        prepare()
        conclude(body())
      }
      thread.start()
      try confinement.release()
      thread.join()
    } catch {
      end(30, "\(error)")
    }
  }

  private static let layers: [String: Sandbox.Layers] = [
    "none": [], "all": .all, "landlock": .landlock, "seccomp": .seccomp, "privileges": .privileges,
  ]
  private static let kinds: [String: ThreadKind] = ["main": .main, "vCPU": .vCPU, "loop": .loop, "helper": .helper]

  private static func conclude(_ result: Int) -> Never {
    let code = errno
    end(result < 0 ? 20 : 0, result < 0 ? "\(code)" : "")
  }

  /// Uses only calls that every thread may make. `exit` would also run handlers, and `print` would ask for the output's
  /// kind.
  static func end(_ status: Int32, _ text: String) -> Never {
    _ = Array(text.utf8).withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
    _exit(status)
  }
}
