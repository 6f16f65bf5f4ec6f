import Failures
import Foundation
import Glibc

/// A program that runs beside this process and ends with it.
final class ChildProcess: Sendable {
  let identifier: pid_t
  /// What the program wrote to standard error, and to standard output unless that is a socket.
  private let messages: UnnamedFile

  /// Starts `arguments[0]`, found in PATH.
  ///
  /// - Parameters:
  ///   - descriptors: those that the program gets, from descriptor 3 on.
  ///   - socket: its standard input and output; nil for none.
  init(_ arguments: [String], descriptors: [Int32], socket: Int32? = nil) throws(Failure) {
    let action = "start \(arguments[0])"
    messages = try UnnamedFile(in: NSTemporaryDirectory())
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let socket {
      posix_spawn_file_actions_adddup2(&actions, socket, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_adddup2(&actions, socket ?? messages.descriptor, 1)
    posix_spawn_file_actions_adddup2(&actions, messages.descriptor, 2)
    // Copies above the numbers that the program gets: a descriptor that has such a number would be overwritten.
    let copies = descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, 3 + Int32(descriptors.count)) }
    defer { for copy in copies where copy >= 0 { close(copy) } }
    guard !copies.contains(-1) else {
      throw Failure(action, errno: EMFILE, fix: "Allow more open files: ulimit -n 4096")
    }
    for (index, copy) in copies.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, copy, 3 + Int32(index))
    }
    // The kernel kills the program when this process dies, however that happens.
    let command = ["setpriv", "--pdeathsig", "KILL"] + arguments
    var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var started: pid_t = 0
    let code = posix_spawnp(&started, command[0], &actions, nil, &words, environ)
    guard code == 0 else {
      throw Failure(action, errno: code, fix: "Check that setpriv is installed: sudo apt-get install util-linux")
    }
    identifier = started
  }

  /// Ends the program and waits for it. Call it once.
  func end() {
    kill(identifier, SIGKILL)
    var status: Int32 = 0
    while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
  }

  /// The first line that the program printed, if any.
  var message: String? {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = max(0, pread(messages.descriptor, &bytes, bytes.count, 0))
    let line = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").first
    return line.map(String.init)
  }

  /// Processor time of its threads in nanoseconds, of those whose name `isIncluded` accepts.
  func cpuTime(_ isIncluded: (_ thread: String) -> Bool) -> UInt64 {
    let folder = "/proc/\(identifier)/task"
    guard let list = opendir(folder) else { return 0 }
    defer { closedir(list) }
    var sum: UInt64 = 0
    while let entry = readdir(list) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard name.first != ".", isIncluded(Self.text(of: "\(folder)/\(name)/comm")) else { continue }
      // The first number is the time on a processor (Documentation/scheduler/sched-stats.rst).
      let time = Self.text(of: "\(folder)/\(name)/schedstat").split(separator: " ").first
      sum += time.flatMap { UInt64($0) } ?? 0
    }
    return sum
  }

  private static func text(of path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = max(0, read(descriptor, &bytes, bytes.count))
    return String(decoding: bytes[..<count].prefix { $0 != 0x0A }, as: UTF8.self)
  }
}
