import TestSupport
import Testing

@Suite("LinuxNet: Debian's own drivers on our NICs, on a tap and a bridge", .needsLinux)
struct LinuxNetTests {
  @Test("the NIC is driven by it, and 5 echoes of 5 come back", arguments: NetDriver.allCases)
  func driver(driver: NetDriver) async throws {
    let guest = try await driver.guest("basics")
    #expect(guest.values["driver"] == driver.rawValue)
    guest.expect("ping")
  }

  @Test(
    "TCP carries 1 MiB of random bytes each way, and 128 KiB over IPv6; their SHA-256 agree",
    arguments: NetDriver.allCases)
  func checked(driver: NetDriver) async throws {
    try await driver.guest("basics").expect("send", "receive", "ipv6 addresses", "ipv6")
  }

  @Test("e1000: ethtool's offline self-test passes (registers, EEPROM, interrupt, loopback, link), and traffic goes on")
  func selfTest() async throws { try await NetDriver.e1000.guest("basics").expect("self-test", "after the self-test") }

  @Test("virtio_net has no self-test, and says so")
  func noSelfTest() async throws { try await NetDriver.virtio.guest("basics").expect("self-test") }

  @Test(
    "virtio_net takes checksums, TSO both ways, mergeable buffers, the control queue and several pairs (virtio 1.2, 5.1.3)"
  )
  func features() async throws {
    let guest = try await NetDriver.virtio.guest("basics")
    let bits = Array(try #require(guest.values["features"]))
    for bit in [0, 1, 3, 5, 7, 8, 11, 12, 15, 16, 17, 18, 19, 22, 32] { #expect(bits[bit] == "1", "bit \(bit)") }
  }

  @Test("virtio_net with two vCPUs uses two pairs of queues, each queue with an MSI-X message of its own")
  func pairs() async throws {
    let guest = try await NetDriver.virtio.guest("basics")
    #expect(guest.values["channels"] == "2/2/", "most, and now")
    #expect(guest.values["combined"] == "2")
    #expect(guest.values["messages"] == "5", "the configuration's, and one for each of four queues")
    #expect(guest.values["inputs used"] == "2")
    guest.expect("two pairs")
  }

  @Test("network up made the bridge, and network down left no interface behind", arguments: NetDriver.allCases)
  func setUp(driver: NetDriver) async throws {
    let run = try await driver.run("basics")
    #expect(run.text("up").hasPrefix("swiftlet0: bridge, up, mtu 1500, 10.73.0.1/24\n"))
    #expect(run.text("down") == "removed swiftlet0-tap0, swiftlet0-tap1, swiftlet0\n")
    #expect(run.text("left") == "")
    #expect(run.text("services") == "", "what the host's programs complained of")
  }
}
