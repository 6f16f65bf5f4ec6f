import Failures
import Foundation

/// Runs a program to its end, with a text as its input, and collects its output.
///
/// Foundation's `Process` waits in a run loop that needs a loopback interface, which is not up in every namespace.
enum ChildProgram {
  struct Result {
    /// The exit status, 0 to 255, or 128 plus the signal that ended the program.
    var status: Int32
    var output: Data
    var errors: String
  }

  /// Runs `path`, with only the C locale in its environment.
  ///
  /// The program gets its own process group, so that an interrupt at the terminal ends swiftlet but not the program.
  ///
  /// - Parameter input: at most 64 KiB, the capacity of a pipe.
  static func run(_ path: String, _ arguments: [String], input: String) throws(Failure) -> Result {
    let action = "run \(path)"
    let (given, output, errors) = (try Pipe(), try Pipe(), try Pipe())
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, given.reading, 0)
    posix_spawn_file_actions_adddup2(&actions, output.writing, 1)
    posix_spawn_file_actions_adddup2(&actions, errors.writing, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    // Write all of the input before the program starts, so that it never acts on a part of it.
    try given.fill(input, action)
    var words = ([path] + arguments).map { strdup($0) } + [nil]
    var environment = [strdup("LC_ALL=C"), nil]
    defer { for word in words + environment { free(word) } }
    var process = pid_t()
    let code = posix_spawn(&process, path, &actions, &attributes, &words, &environment)
    guard code == 0 else { throw Failure(action, errno: code) }
    let printed = output.drain()
    let complaints = errors.drain()
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return Result(
      status: signal == 0 ? status >> 8 & 0xFF : 128 + signal, output: printed,
      errors: String(decoding: complaints, as: UTF8.self))
  }

  private final class Pipe {
    let reading: Int32
    private(set) var writing: Int32

    init() throws(Failure) {
      var ends: [Int32] = [0, 0]
      try systemCall("create a pipe") { pipe(&ends) }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      (reading, writing) = (ends[0], ends[1])
    }

    deinit {
      close(reading)
      closeWriting()
    }

    private func closeWriting() {
      if writing >= 0 { close(writing) }
      writing = -1
    }

    func fill(_ text: String, _ action: String) throws(Failure) {
      let bytes = Array(text.utf8)
      guard bytes.count <= 1 << 16, write(writing, bytes, bytes.count) == bytes.count else {
        throw Failure(action, cause: "\(bytes.count) bytes do not fit into a pipe")
      }
      closeWriting()
    }

    /// Reads everything that the other side writes.
    func drain() -> Data {
      closeWriting()
      var all = Data()
      var buffer = [UInt8](repeating: 0, count: 1 << 14)
      while true {
        let count = read(reading, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return all }
        all.append(contentsOf: buffer[0..<count])
      }
    }
  }
}
