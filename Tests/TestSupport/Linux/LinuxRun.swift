import Foundation
import Testing

/// The files that a script of Guests/Linux/host left.
package final class LinuxRun: Sendable {
  package let folder: TemporaryFolder

  init(folder: TemporaryFolder) { self.folder = folder }

  package func text(_ name: String) -> String {
    (try? String(contentsOfFile: folder.file(name), encoding: .utf8)) ?? ""
  }

  /// The guest that the script booted as `name`.
  package func guest(_ name: String) -> LinuxGuest {
    LinuxGuest(
      console: text("\(name).console"), errors: text("\(name).errors"),
      status: Int32(text("\(name).status").trimmingCharacters(in: .whitespacesAndNewlines)),
      statistics: try? JSONDecoder().decode(
        LinuxGuest.Statistics.self, from: Data(contentsOf: URL(filePath: folder.file("\(name).stats")))))
  }
}

/// One guest's run: its program's lines ("pass NAME", "fail NAME: why", "value NAME V") and its counts.
package struct LinuxGuest: Sendable {
  /// The part of `swiftlet run --stats json` that tests use.
  package struct Statistics: Decodable, Sendable {
    package struct Register: Decodable, Sendable {
      package var space: String
      package var address: String
      package var access: String
      package var exits: UInt64
    }
    package var outcome: String
    package var exits: UInt64
    package var counters: [String: [String: UInt64]]
    package var exitsByRegister: [Register]
  }

  package let console: String
  package let errors: String
  package let status: Int32?
  package let statistics: Statistics?
  package let passed: Set<String>
  package let failures: [String]
  package let values: [String: String]

  init(console: String, errors: String, status: Int32?, statistics: Statistics?) {
    self.console = console
    // L1's kernel is older than some parts of the sandbox, which the run then says.
    self.errors = errors.split(separator: "\n", omittingEmptySubsequences: false)
      .filter { !$0.hasPrefix("swiftlet: this host cannot enforce all of the sandbox.") }.joined(separator: "\n")
    self.status = status
    self.statistics = statistics
    var passed: Set<String> = []
    var failures: [String] = []
    var values: [String: String] = [:]
    for line in console.split(whereSeparator: \.isNewline) {
      if line.hasPrefix("pass ") { passed.insert(String(line.dropFirst(5))) }
      if line.hasPrefix("fail ") { failures.append(String(line.dropFirst(5))) }
      let words = line.split(separator: " ")
      if words.first == "value", words.count > 2 {
        values[words[1..<words.count - 1].joined(separator: " ")] = String(words[words.count - 1])
      }
    }
    self.passed = passed
    self.failures = failures
    self.values = values
  }

  /// Records an issue, with the guest's output, for each of `steps` that it did not pass.
  package func expect(_ steps: String..., sourceLocation: SourceLocation = #_sourceLocation) {
    for step in steps where !passed.contains(step) {
      let why = failures.first { $0.hasPrefix("\(step):") }
      Issue.record(
        "\(why ?? "\(step): never reached; status \(status.map { "\($0)" } ?? "none"), \(errors)\n\(console.suffix(2000))")",
        sourceLocation: sourceLocation)
    }
  }

  /// The exits of writes to the registers at `offsets` in the memory BAR of the NIC whose TDT (3818H) was written.
  package func writeExits(e1000 offsets: Set<UInt64>) -> UInt64 {
    let writes = (statistics?.exitsByRegister ?? []).compactMap { register -> (address: UInt64, exits: UInt64)? in
      guard register.space == "memory", register.access == "write" else { return nil }
      return UInt64(register.address.dropFirst(2), radix: 16).map { ($0, register.exits) }
    }
    guard let tail = writes.first(where: { $0.address & 0x1_FFFF == 0x3818 })?.address else { return .max }
    return writes.filter { offsets.contains($0.address &- (tail - 0x3818)) }.reduce(0) { $0 + $1.exits }
  }

  /// The number of exits at ports of `range`.
  package func exits(ports range: ClosedRange<UInt64>) -> UInt64 {
    (statistics?.exitsByRegister ?? []).filter { register in
      register.space == "port" && UInt64(register.address.dropFirst(2), radix: 16).map(range.contains) == true
    }.reduce(0) { $0 + $1.exits }
  }
}
