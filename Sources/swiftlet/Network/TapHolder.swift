import Foundation

/// The process that has a tap open, found in /proc. Only root sees the processes of other users.
struct TapHolder: CustomStringConvertible {
  let process: Int
  let program: String

  var description: String { "process \(process) (\(program))" }

  /// All holders in our network namespace, by interface. Another namespace may have a different tap of the same name.
  static func all() -> [String: TapHolder] {
    var all: [String: TapHolder] = [:]
    let ours = link("/proc/self/ns/net")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    for process in names.compactMap({ Int($0) }) {
      let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")) ?? []
      for file in files {
        guard link("/proc/\(process)/fd/\(file)") == "/dev/net/tun", link("/proc/\(process)/ns/net") == ours,
          let interface = interface(process, file)
        else { continue }
        let program = text("/proc/\(process)/comm").trimmingCharacters(in: .newlines)
        all[interface] = TapHolder(process: process, program: program)
      }
    }
    return all
  }

  /// The interface in the line "iff:" of a tun descriptor's state.
  private static func interface(_ process: Int, _ file: String) -> String? {
    text("/proc/\(process)/fdinfo/\(file)").split(separator: "\n").first { $0.hasPrefix("iff:") }
      .map { $0.dropFirst(4).trimmingCharacters(in: .whitespaces) }
  }

  private static func link(_ path: String) -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: path)
  }

  private static func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
}
