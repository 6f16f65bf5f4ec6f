import Foundation

/// Programs of the lab that run on this host, with the libraries they need.
package struct LinuxTools: Sendable {
  private let place: String
  private let folder: TemporaryFolder

  /// - Parameter kind: `tools` for those that guests also have, `host-tools` for the rest.
  package init(_ kind: String) async throws {
    place = "\(try await LinuxHost.assets())/\(kind)"
    folder = try TemporaryFolder(isRemovedAtEnd: true)
  }

  /// Runs a program to its end, and returns its status and output.
  package func run(_ name: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: "\(place)/bin/\(name)")
    process.arguments = arguments
    process.environment = ["LD_LIBRARY_PATH": "\(place)/lib", "HOME": folder.path, "DEBUGFS_PAGER": "cat"]
    let output = folder.file("output")
    _ = FileManager.default.createFile(atPath: output, contents: nil)
    let handle = try FileHandle(forWritingTo: URL(filePath: output))
    process.standardOutput = handle
    process.standardError = handle
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return (process.terminationStatus, (try? String(contentsOfFile: output, encoding: .utf8)) ?? "")
  }
}
