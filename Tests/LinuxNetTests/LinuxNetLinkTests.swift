import TestSupport
import Testing

@Suite("LinuxNet: what a NIC takes, and links that come and go", .needsLinux)
struct LinuxNetLinkTests {
  @Test(
    "a stranger's frames and a group's are taken only when promiscuous and when a member", arguments: NetDriver.allCases
  )
  func filters(driver: NetDriver) async throws {
    let guest = try await driver.guest("links")
    func frames(_ what: String) throws -> Int { try #require(Int(guest.values["of \(what)"] ?? ""), "\(what)") }
    // The question itself is some frames, and a neighbour may be looked for in between.
    let question = try frames("a question")
    #expect(try frames("a stranger's") < question + 20)
    #expect(try frames("a stranger's, promiscuous") >= 50)
    #expect(try frames("a group's") < question + 20)
    #expect(try frames("a group's, as a member") >= 50)
    #expect(try driver.counter("dropsFiltered", of: guest) >= 100)
  }

  @Test(
    "the host takes the tap down and up: the driver loses its carrier and has it again", arguments: NetDriver.allCases)
  func hostLink(driver: NetDriver) async throws {
    try await driver.guest("links").expect("link down", "link up", "after the link")
  }

  @Test("20 downs and ups under traffic each way, and traffic goes on", arguments: NetDriver.allCases)
  func restarts(driver: NetDriver) async throws {
    let guest = try await driver.guest("links")
    #expect(guest.values["turns"] == "20")
    guest.expect("after 20 downs and ups")
  }

  @Test("the host deletes the tap: the carrier goes, and the guest lives on", arguments: NetDriver.allCases)
  func deleted(driver: NetDriver) async throws {
    let run = try await driver.run("links")
    run.guest("net").expect("tap deleted")
    #expect(run.guest("net").status == 0)
    #expect(run.text("down") == "removed swiftlet0-tap1, swiftlet0\n")
    #expect(run.text("left") == "")
  }
}
