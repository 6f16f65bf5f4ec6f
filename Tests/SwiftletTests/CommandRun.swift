import Foundation
import TestSupport
import Testing

/// The built executable as a user runs it: with arguments, in a separate folder, and with a time limit.
final class CommandRun {
  private static let limit = 60.0
  private let process = Process()
  private let folder: TestFolder

  /// Starts `swiftlet` with `arguments`. Its output goes to files beside `folder`, so that no pipe can fill up.
  ///
  /// - Parameter wrapper: a program, found in PATH, that runs it; none if empty.
  init(_ arguments: [String], in folder: TestFolder, under wrapper: [String] = []) throws {
    self.folder = folder
    process.executableURL = wrapper.isEmpty ? BuiltProduct.swiftlet : URL(filePath: "/usr/bin/env")
    process.arguments = wrapper.isEmpty ? arguments : wrapper + [BuiltProduct.swiftlet.path] + arguments
    process.currentDirectoryURL = URL(filePath: folder.path)
    var environment = ProcessInfo.processInfo.environment
    environment["TMPDIR"] = folder.path
    process.environment = environment
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try folder.makeCapture("output")
    process.standardError = try folder.makeCapture("errors")
    try process.run()
  }

  var isRunning: Bool { process.isRunning }
  var identifier: Int32 { process.processIdentifier }

  func interrupt() { process.interrupt() }
  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Waits for the end; a run beyond the limit is killed and fails the test.
  func wait() -> (status: Int32, output: String, errors: String) {
    let deadline = Date(timeIntervalSinceNow: Self.limit)
    while process.isRunning, Date() < deadline { usleep(5000) }
    if process.isRunning {
      Issue.record("swiftlet \(process.arguments ?? []) did not end within \(Self.limit) s")
      kill(process.processIdentifier, SIGKILL)
    }
    process.waitUntilExit()
    if process.terminationReason == .uncaughtSignal { Issue.record("killed by signal \(process.terminationStatus)") }
    return (process.terminationStatus, folder.captured("output"), folder.captured("errors"))
  }
}

/// Runs `swiftlet` to its end.
func swiftlet(
  _ arguments: [String], in folder: TestFolder? = nil
) throws -> (status: Int32, output: String, errors: String) {
  let folder = try folder ?? TestFolder()
  return try CommandRun(arguments, in: folder).wait()
}

/// A folder of one test, removed with it. The output of commands is kept beside it, so it holds only their files.
final class TestFolder {
  let path: String
  private let captures: String

  init() throws {
    let base = NSTemporaryDirectory() + "swiftlet-test-\(UUID().uuidString)"
    path = base + "/work"
    captures = base + "/printed"
    for folder in [path, captures] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
  }

  deinit { try? FileManager.default.removeItem(at: URL(filePath: path).deletingLastPathComponent()) }

  subscript(_ name: String) -> String { path + "/" + name }

  func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(filePath: self[name])) }

  func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(filePath: self[name]))) }

  func makeDisk(_ name: String, size: Int = 1 << 20) throws { try write([UInt8](repeating: 0, count: size), to: name) }

  /// Every file with its size, to check that a command left and changed nothing.
  var listing: [String] {
    (FileManager.default.subpaths(atPath: path) ?? []).sorted().map { name in
      let attributes = try? FileManager.default.attributesOfItem(atPath: self[name])
      return "\(name) \(attributes?[.size] ?? "?")"
    }
  }

  func makeCapture(_ name: String) throws -> FileHandle {
    let path = captures + "/" + name
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    return try FileHandle(forWritingTo: URL(filePath: path))
  }

  func captured(_ name: String) -> String {
    (try? String(contentsOfFile: captures + "/" + name, encoding: .utf8)) ?? ""
  }
}
