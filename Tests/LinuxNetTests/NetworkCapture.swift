import Failures
import TestSupport

/// A pcap file, as tshark reads it.
struct NetworkCapture {
  private let path: String

  init(_ path: String) { self.path = path }

  /// The numbers of correct and wrong IPv4, TCP and UDP checksums.
  func checksums() async throws -> (good: Int, bad: Int) {
    let protocols = ["ip", "tcp", "udp"]
    var arguments = ["-r", path, "-n", "-T", "fields", "-E", "occurrence=f"]
    for name in protocols {
      arguments += ["-o", "\(name).check_checksum:TRUE", "-e", "\(name).checksum.status"]
    }
    let result = try await LinuxTools("host-tools").run("tshark", arguments)
    guard result.status == 0 else { throw Failure("read \(path)", cause: result.output) }
    let states = result.output.split { $0 == "\t" || $0 == "\n" }
    return (states.count { $0 == "1" }, states.count { $0 == "0" })
  }
}
