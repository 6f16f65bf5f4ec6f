import Failures
import Foundation

/// The program `ip` of iproute2, which lists and changes the host's interfaces.
enum IPProgram {
  /// The path of `ip`. A user's PATH may lack the directories of system programs.
  private static func path() throws(Failure) -> String {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
    for folder in folders + ["/usr/sbin", "/sbin", "/usr/bin", "/bin"] {
      if access("\(folder)/ip", X_OK) == 0 { return "\(folder)/ip" }
    }
    throw Failure("run ip", cause: "there is no such program", fix: "Install it: sudo apt-get install iproute2")
  }

  /// Every interface of the host, with its addresses.
  static func interfaces() throws(Failure) -> [HostInterface] {
    let action = "list the host's interfaces"
    let result = try ChildProgram.run(path(), ["-j", "-d", "address", "show"], input: "")
    guard result.status == 0 else { throw Failure(action, cause: firstLine(result.errors)) }
    do {
      // It prints nothing if there are no interfaces.
      return result.output.isEmpty ? [] : try JSONDecoder().decode([HostInterface].self, from: result.output)
    } catch {
      throw Failure(
        action, cause: "swiftlet cannot parse the output of ip", fix: "Look at it: ip -j -d address show")
    }
  }

  /// Runs `commands` in one process. It ends at the first command that fails, and goes on if swiftlet ends.
  static func change(_ commands: [[String]], action: String) throws(Failure) {
    let lines = commands.map { $0.joined(separator: " ") }
    let result = try ChildProgram.run(path(), ["-batch", "-"], input: lines.joined(separator: "\n") + "\n")
    guard result.status != 0 else { return }
    let number = result.errors.firstMatch(of: /Command failed -:(\d+)/).flatMap { Int($0.1) } ?? 0
    throw failure(lines.indices.contains(number - 1) ? lines[number - 1] : "", result.errors, action)
  }

  /// Removes the interface `name`. Returns whether it existed.
  static func delete(_ name: String, action: String) throws(Failure) -> Bool {
    let result = try ChildProgram.run(path(), ["link", "delete", "dev", name], input: "")
    if result.status == 0 { return true }
    if result.errors.contains("Cannot find device") { return false }
    throw failure("link delete dev \(name)", result.errors, action)
  }

  private static func failure(_ command: String, _ errors: String, _ action: String) -> Failure {
    let isForbidden = errors.contains("Operation not permitted")
    let ours = CommandLine.arguments.dropFirst().joined(separator: " ")
    return Failure(
      action, cause: "ip \(command): \(firstLine(errors))",
      fix: isForbidden ? "Run it as root: sudo \(Program.path) \(ours)" : "List the interfaces: ip -d address show")
  }

  /// The error text, without the prefix that names its origin.
  private static func firstLine(_ errors: String) -> String {
    var line = errors.split(separator: "\n").first.map(String.init) ?? "it failed without a message"
    for prefix in ["RTNETLINK answers: ", "Error: "] where line.hasPrefix(prefix) {
      line.removeFirst(prefix.count)
    }
    return line.hasSuffix(".") ? String(line.dropLast()) : line
  }
}
