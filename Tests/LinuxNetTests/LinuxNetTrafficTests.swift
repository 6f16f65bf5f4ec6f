import Foundation
import TestSupport
import Testing

@Suite("LinuxNet: traffic with the host and between two VMs", .needsLinux)
struct LinuxNetTrafficTests {
  @Test(
    "TCP out and in with 1 and 4 streams (iperf3), and 1 MiB of random bytes each way", arguments: NetDriver.allCases)
  func streams(driver: NetDriver) async throws {
    try await driver.guest("traffic")
      .expect("tcp 1 out", "tcp 1 in", "tcp 4 out", "tcp 4 in", "send", "receive")
  }

  @Test("virtio_net sends and receives frames above the MTU: TSO and merged buffers in both directions")
  func largeFrames() async throws {
    let values = try await NetDriver.virtio.guest("traffic").values
    #expect(Int(values["bytes in a frame sent"] ?? "") ?? 0 > 1514)
    #expect(Int(values["bytes in a frame received"] ?? "") ?? 0 > 1514)
  }

  @Test("datagrams of 1 to 60 000 bytes return whole, and so do 1000 echoes of a flood", arguments: NetDriver.allCases)
  func datagrams(driver: NetDriver) async throws {
    try await driver.guest("traffic").expect("udp", "udp in", "ping flood")
  }

  @Test(
    "bursts longer than the ring arrive completely, without further traffic", arguments: NetDriver.allCases)
  func bursts(driver: NetDriver) async throws {
    let guest = try await driver.guest("traffic")
    #expect(Int(guest.values["of 400 answers"] ?? "") ?? 0 >= 400)
    // The guest was stopped meanwhile, with a full ring of 256.
    #expect(guest.values["of a burst of 600"] == "600")
    guest.expect("after the burst")
  }

  @Test("two VMs on the bridge, one with each driver, exchange data", arguments: NetDriver.allCases)
  func neighbours(driver: NetDriver) async throws {
    let run = try await driver.run("traffic")
    run.guest("net").expect("ping between guests", "send between guests", "receive between guests")
    let peer = run.guest("peer")
    #expect(peer.status == 0, "\(peer.errors)\(peer.console.suffix(1000))")
    #expect(peer.values["complaints"] == "0")
    #expect(peer.values["bad sums"] == "0+0+")
  }

  @Test("a receiver without offloads gets no partial checksum: tshark finds none in the guests' captures")
  func checksums() async throws {
    for (driver, name) in [(NetDriver.e1000, "main"), (.e1000, "peer"), (.virtio, "peer")] {
      let run = try await driver.run("traffic")
      #expect(run.guest(name == "main" ? "net" : "peer").values["lost by the capture"] == "0")
      let sums = try await NetworkCapture(run.folder.file("\(name).pcap")).checksums()
      #expect(sums.bad == 0, "\(driver), \(name)")
      // The peer receives 1 MiB in frames of at most 1514 bytes.
      #expect(sums.good > 700, "\(driver), \(name)")
    }
  }

  @Test("e1000: KVM holds writes of EECD, IMC and the filter tables; virtio_net's frames cost no exit")
  func exits() async throws {
    let e1000 = try await NetDriver.e1000.guest("traffic")
    #expect(e1000.writeExits(e1000: [0x3818]) > 10, "TDT, until its page is RAM")
    // The ring has room for 170 writes. When it is full, one exits.
    #expect(e1000.writeExits(e1000: Set([0x10, 0xD8] + stride(from: 0x5200, to: 0x5800, by: 4))) < 100)
    let virtio = try await NetDriver.virtio.guest("traffic")
    let counters = try #require(virtio.statistics?.counters)
    #expect(try NetDriver.virtio.counter("framesReceived", of: virtio) > 5000)
    let exits = ["vcpu0", "vcpu1"].reduce(0) { $0 + (counters[$1]?["exitsMMIO"] ?? 0) }
    #expect(exits < 1000, "the set-up of a disk and a NIC")
  }

  @Test("the driver's statistics and the VMM's counters agree", arguments: NetDriver.allCases)
  func statistics(driver: NetDriver) async throws {
    let guest = try await driver.guest("traffic")
    func driverCounted(_ name: String) throws -> Int { try #require(Int(guest.values["\(name):"] ?? ""), "\(name)") }
    func swiftletCounted(_ name: String) throws -> Int { Int(try driver.counter(name, of: guest)) }
    // Some packets, such as ARP, follow after the driver's statistics were read.
    func agree(_ name: String, _ ours: Int, within slack: Int) throws {
      let theirs = try driverCounted(name)
      #expect(ours >= theirs && ours <= theirs + slack, "\(name) \(theirs), swiftlet \(ours)")
    }
    let (sent, received) = (try driverCounted("tx_packets"), try driverCounted("rx_packets"))
    let frames = try swiftletCounted("framesSent")
    var (octetsSent, octetsReceived) = (try swiftletCounted("bytesSent"), try swiftletCounted("bytesReceived"))
    try agree("rx_packets", swiftletCounted("framesReceived"), within: 8)
    switch driver {
    case .virtio: try agree("tx_packets", frames, within: 8)
    case .e1000:
      // The 82540EM counts the segments that it made of a large frame. Each has 66 bytes of headers (Ethernet, IPv4,
      // TCP with timestamps). It also counts 4 bytes of FCS per packet. The VMM counts the frames that it got. Received
      // packets shorter than 60 bytes count as padded: half a dozen of ARP's.
      #expect(sent > frames)
      octetsSent += 66 * (sent - frames) + 4 * sent
      octetsReceived += 4 * received + 1514
    }
    try agree("tx_bytes", octetsSent, within: 8 * 1514)
    try agree("rx_bytes", octetsReceived, within: 8 * 1514)
  }
}
