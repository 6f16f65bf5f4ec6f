import TestSupport
import Testing

@Suite("LinuxNet: receive filters and link changes", .needsLinux)
struct LinuxNetLinkTests {
  @Test(
    "frames to another address or a group need promiscuous mode or membership", arguments: NetDriver.allCases
  )
  func filters(driver: NetDriver) async throws {
    let guest = try await driver.guest("links")
    func frames(_ what: String) throws -> Int { try #require(Int(guest.values["of \(what)"] ?? ""), "\(what)") }
    // The request to the host takes some frames, and ARP may run in between.
    let question = try frames("a question")
    #expect(try frames("a stranger's") < question + 20)
    #expect(try frames("a stranger's, promiscuous") >= 50)
    #expect(try frames("a group's") < question + 20)
    #expect(try frames("a group's, as a member") >= 50)
    #expect(try driver.counter("dropsFiltered", of: guest) >= 100)
  }

  @Test(
    "when the host takes the tap down and up, the carrier is lost and returns", arguments: NetDriver.allCases)
  func hostLink(driver: NetDriver) async throws {
    try await driver.guest("links").expect("link down", "link up", "after the link")
  }

  @Test("traffic works after 20 downs and ups under traffic in both directions", arguments: NetDriver.allCases)
  func restarts(driver: NetDriver) async throws {
    let guest = try await driver.guest("links")
    #expect(guest.values["turns"] == "20")
    guest.expect("after 20 downs and ups")
  }

  @Test("when the host deletes the tap, only the carrier is lost", arguments: NetDriver.allCases)
  func deleted(driver: NetDriver) async throws {
    let run = try await driver.run("links")
    run.guest("net").expect("tap deleted")
    #expect(run.guest("net").status == 0)
    #expect(run.text("down") == "removed swiftlet0-tap1, swiftlet0\n")
    #expect(run.text("left") == "")
  }
}
