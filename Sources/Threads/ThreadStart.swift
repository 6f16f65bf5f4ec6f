import CLinux
import Failures
import Glibc

/// Checks the result of pthread_create. Without one of its threads the process could only wait for it forever, so it ends
/// here, with the reason.
public func requireThread(_ code: Int32) {
  guard code != 0 else { return }
  clinux_terminal_restore()
  let failure = Failure(
    "start a thread", errno: code, fix: "Raise the limit of processes: ulimit -u, or pids.max of the control group")
  let line = "swiftlet: \(failure)\n"
  _ = line.withCString { write(2, $0, strlen($0)) }
  _exit(1)
}
