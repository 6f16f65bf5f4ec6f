import Foundation
import TestSupport
import Testing

/// The models in Docs/Models, checked by spin.
@Suite("Models of protocols between threads", .timeLimit(.minutes(10)))
struct ModelTests {
  private func spin(_ model: String, _ options: [String]) throws -> String {
    let folder = try TemporaryFolder()
    let script = """
      cd "\(folder.path)" && spin -a \(options.joined(separator: " ")) "\(model)" > spin.out &&
      clang -O2 -w -DNFAIR=4 -o pan pan.c && ./pan -a -f -m1000000
      """
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", script]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text
  }

  @Test("the last tail in RAM is sent, and none goes back; leaving out any one step breaks that")
  func tailPages() throws {
    let model = Repository.current.root.appending(path: "Docs/Models/TailPages.pml").path
    #expect(try spin(model, []).contains("errors: 0"))
    for step in ["NO_LAST_LOOK", "NO_DOORBELL", "NO_FINAL_STORES", "NO_MIRROR"] {
      #expect(try spin(model, ["-D\(step)"]).contains("errors: 1"), "\(step)")
    }
  }
}
