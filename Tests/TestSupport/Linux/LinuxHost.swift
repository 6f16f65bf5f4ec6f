import Failures
import Foundation
import KVM

/// Where unmodified Linux guests run: on this host if its KVM can run a kernel, otherwise in the lab's L1
/// (Docs/LinuxLab.md).
package enum LinuxHost: Sendable {
  case direct, lab

  /// This host's choice, with its reason printed once per test run.
  package static let current: LinuxHost = {
    let kind = System.kind
    let canOpen = access("/dev/kvm", R_OK | W_OK) == 0
    let host: LinuxHost = (kind == .vmx || kind == .svm) && canOpen ? .direct : .lab
    switch host {
    case .direct: print("Linux guests run on this host: KVM of kind \(kind) runs a kernel's code.")
    case .lab:
      let why = canOpen ? "KVM of kind \(kind) interprets a kernel's code" : "/dev/kvm cannot be opened"
      print("Linux guests run in the lab, in an L1 with SVM under QEMU's TCG: \(why).")
    }
    return host
  }()

  private static let package = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../..").standardizedFileURL.path
  private static let folder = "\(package)/Guests/Linux"

  /// The lab's folder: kernels, tools and their libraries. The first use builds it, which takes a minute.
  package static func assets() async throws -> String {
    let output = try await process(["\(folder)/lab", "fetch"], folder: TemporaryFolder(isRemovedAtEnd: true))
    return output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// A release build of swiftlet, in a separate folder: under TCG a debug build is three times slower, and `swift test`
  /// keeps its own build folder locked.
  private static let product = Task {
    let build = [
      "swift", "build", "-c", "release", "--package-path", package, "--scratch-path",
      "\(package)/.build/release-for-linux",
    ]
    _ = try await process(build + ["--product", "swiftlet"], folder: TemporaryFolder(isRemovedAtEnd: true))
    let place = try await process(build + ["--show-bin-path"], folder: TemporaryFolder(isRemovedAtEnd: true))
    return place.trimmingCharacters(in: .whitespacesAndNewlines) + "/swiftlet"
  }

  /// Runs `script`, the name of a file in Guests/Linux/host with its arguments, to its end.
  ///
  /// - Parameter seconds: limits a hang. A failure of L1 itself, but not of the script in it, is retried twice.
  package func run(_ script: String, seconds: Int) async throws -> LinuxRun {
    for _ in 0..<2 {
      do {
        return try await attempt(script, seconds: seconds)
      } catch let stall as NoStatus {
        // Printed, so that occasional hangs of the lab are noticed.
        print("L1 hung in \(script) and is retried: \(stall.failure)")
      }
    }
    return try await attempt(script, seconds: seconds)
  }

  /// L1 ended without a status of the script in it.
  private struct NoStatus: Error {
    let failure: any Error
  }

  private func attempt(_ script: String, seconds: Int) async throws -> LinuxRun {
    let assets = try await Self.assets()
    let product = try await Self.product.value
    let run = try TemporaryFolder(isRemovedAtEnd: true)
    let place = self == .lab ? (lab: "/run/lab", run: "/mnt") : (lab: assets, run: run.path)
    let command = """
      #!/bin/sh
      export LAB=\(place.lab) RUN=\(place.run) SWIFTLET=\(product)
      work=$(mktemp -d) && cd "$work" || exit 1
      sh \(Self.folder)/host/\(script)
      status=$?
      cd / && rm -rf "$work"
      exit $status
      """
    try Data(command.utf8).write(to: URL(filePath: run.file("command")))
    chmod(run.file("command"), 0o755)
    switch self {
    case .direct:
      _ = try await Self.process(
        ["timeout", "\(seconds)", "unshare", "--user", "--map-root-user", "--mount", "--net", run.file("command")],
        folder: run)
    case .lab:
      do {
        _ = try await Self.process(["\(Self.folder)/lab", "run", run.path, "\(seconds)"], folder: run)
      } catch {
        guard !FileManager.default.fileExists(atPath: run.file("status")) else { throw error }
        throw NoStatus(failure: error)
      }
    }
    return LinuxRun(folder: run)
  }

  /// Runs a program and returns its output. Its standard input ends with this process, and then the lab's L1 ends too.
  private static func process(_ arguments: [String], folder: TemporaryFolder) async throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    let leash = Pipe()
    process.standardInput = leash
    let output = folder.file("process-output")
    let errors = folder.file("process-errors")
    for path in [output, errors] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
    process.standardOutput = try FileHandle(forWritingTo: URL(filePath: output))
    process.standardError = try FileHandle(forWritingTo: URL(filePath: errors))
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      process.terminationHandler = { _ in continuation.resume() }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    withExtendedLifetime(leash) {}
    guard process.terminationStatus == 0 else {
      throw Failure(
        "run \(arguments.joined(separator: " "))",
        cause: "status \(process.terminationStatus): \((try? String(contentsOfFile: errors, encoding: .utf8)) ?? "")")
    }
    return (try? String(contentsOfFile: output, encoding: .utf8)) ?? ""
  }
}

/// The run of each script, shared by all tests that check it.
package actor LinuxRuns {
  package static let shared = LinuxRuns()
  private var runs: [String: Task<LinuxRun, any Error>] = [:]
  /// An L1 keeps a core busy, so more than two would slow down one another and other tests.
  private var free = 2
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// The run of `script`, the name of a file in Guests/Linux/host with its arguments.
  package func run(_ script: String, seconds: Int = 900) async throws -> LinuxRun {
    if let run = runs[script] { return try await run.value }
    let task = Task {
      await take()
      defer { give() }
      return try await LinuxHost.current.run(script, seconds: seconds)
    }
    runs[script] = task
    return try await task.value
  }

  private func take() async {
    guard free == 0 else {
      free -= 1
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  private func give() {
    guard !waiting.isEmpty else {
      free += 1
      return
    }
    waiting.removeFirst().resume()
  }
}
