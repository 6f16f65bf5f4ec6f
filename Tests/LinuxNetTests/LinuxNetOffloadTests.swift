import TestSupport
import Testing

@Suite("LinuxNet: offloads on and off, VLAN tags, long frames", .needsLinux)
struct LinuxNetOffloadTests {
  @Test(
    "each offload that ethtool -K can toggle is toggled twice, and checked traffic works after each",
    arguments: NetDriver.allCases)
  func offloads(driver: NetDriver) async throws {
    let guest = try await driver.guest("offloads")
    let offered = (guest.values["offloads"] ?? "").split(separator: ",").map { String($0.prefix { $0 != ":" }) }
    for offload in ["tx", "sg", "tso", "gso", "gro"] { #expect(offered.contains(offload)) }
    if driver == .e1000 { #expect(["rx", "rxvlan", "rx-all"].allSatisfy(offered.contains)) }
    for offload in offered { guest.expect("\(offload) on", "\(offload) off") }
    guest.expect("all off")
  }

  @Test("traffic on VLAN 5 works with tags by the NIC, if supported, and by the kernel", arguments: NetDriver.allCases)
  func vlan(driver: NetDriver) async throws {
    try await driver.guest("offloads").expect("vlan", "vlan without offloads")
  }

  @Test("frames of 9000 bytes pass unfragmented in both directions", arguments: NetDriver.allCases)
  func longFrames(driver: NetDriver) async throws {
    let guest = try await driver.guest("offloads")
    #expect(guest.values["mtu"] == "9000")
    guest.expect("mtu 9000", "mtu 9000 unfragmented")
  }
}
