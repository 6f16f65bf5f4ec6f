import TestSupport
import Testing

/// A NIC model and the driver that Debian's kernel has for it.
enum NetDriver: String, Sendable, CaseIterable, CustomTestStringConvertible {
  case e1000
  case virtio = "virtio_net"

  var model: String { self == .e1000 ? "e1000" : "virtio" }
  var testDescription: String { rawValue }

  /// The VMM's counter `name` of the NIC of `guest`.
  func counter(_ name: String, of guest: LinuxGuest) throws -> UInt64 {
    let counters = try #require(guest.statistics?.counters)
    return try #require(counters[self == .e1000 ? "e1000-0" : "virtio-net0"])[name] ?? 0
  }

  /// The files that Guests/Linux/host/net left for the guest's program net-`program`.
  func run(_ program: String) async throws -> LinuxRun {
    try await LinuxRuns.shared.run("net \(model) \(program)")
  }

  /// The guest of `run`. It must have powered off, without driver warnings or bad checksums.
  func guest(_ program: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> LinuxGuest {
    let guest = try await run(program).guest("net")
    #expect(guest.status == 0, "\(guest.errors)\(guest.console.suffix(1000))", sourceLocation: sourceLocation)
    #expect(guest.values["complaints"] == "0", "Tx Unit Hang, NETDEV WATCHDOG, WARNING", sourceLocation: sourceLocation)
    #expect(guest.values["bad sums"] == "0+0+", "InCsumErrors of TCP and UDP", sourceLocation: sourceLocation)
    return guest
  }
}
