import TestSupport
import Testing

@Suite("LinuxNet: Debian's own drivers on our NICs, on a tap and a bridge", .needsLinux)
struct LinuxNetTests {
  @Test("the driver drives the NIC, and 5 of 5 echoes return", arguments: NetDriver.allCases)
  func driver(driver: NetDriver) async throws {
    let guest = try await driver.guest("basics")
    #expect(guest.values["driver"] == driver.rawValue)
    guest.expect("ping")
  }

  @Test(
    "TCP carries 1 MiB of random bytes each way, and 128 KiB over IPv6, with equal SHA-256 sums",
    arguments: NetDriver.allCases)
  func checked(driver: NetDriver) async throws {
    try await driver.guest("basics").expect("send", "receive", "ipv6 addresses", "ipv6")
  }

  @Test("e1000: ethtool's offline self-test (registers, EEPROM, interrupt, loopback, link) passes; traffic works after")
  func selfTest() async throws { try await NetDriver.e1000.guest("basics").expect("self-test", "after the self-test") }

  @Test("virtio_net reports that it has no self-test")
  func noSelfTest() async throws { try await NetDriver.virtio.guest("basics").expect("self-test") }

  @Test(
    "virtio_net negotiates checksums, TSO, mergeable buffers, the control queue and several pairs (virtio 1.2, 5.1.3)"
  )
  func features() async throws {
    let guest = try await NetDriver.virtio.guest("basics")
    let bits = Array(try #require(guest.values["features"]))
    for bit in [0, 1, 3, 5, 7, 8, 11, 12, 15, 16, 17, 18, 19, 22, 32] { #expect(bits[bit] == "1", "bit \(bit)") }
  }

  @Test("virtio_net with two vCPUs uses two queue pairs, and each queue has its own MSI-X message")
  func pairs() async throws {
    let guest = try await NetDriver.virtio.guest("basics")
    #expect(guest.values["channels"] == "2/2/", "maximum and current")
    #expect(guest.values["combined"] == "2")
    #expect(guest.values["messages"] == "5", "the configuration's, and one for each of four queues")
    #expect(guest.values["inputs used"] == "2")
    guest.expect("two pairs")
  }

  @Test("network up makes the bridge, and network down leaves no interface", arguments: NetDriver.allCases)
  func setUp(driver: NetDriver) async throws {
    let run = try await driver.run("basics")
    #expect(run.text("up").hasPrefix("swiftlet0: bridge, up, mtu 1500, 10.73.0.1/24\n"))
    #expect(run.text("down") == "removed swiftlet0-tap0, swiftlet0-tap1, swiftlet0\n")
    #expect(run.text("left") == "")
    #expect(run.text("services") == "", "errors of the host's programs")
  }
}
