import Backends
import Devices
import TestSupport
import Testing

@Suite("virtio-net control queue (VIRTIO 1.2, 5.1.6.5)")
struct VirtioNetControlTests {
  private static let features: UInt64 = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 23 | NetBench.mergeable
  private static let own: [UInt8] = [0x52, 0x54, 0, 1, 2, 3]
  private static let other: [UInt8] = [0x52, 0x54, 0, 9, 9, 9]
  private static let group: [UInt8] = [0x33, 0x33, 0, 0, 0, 1]
  private static let all: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]

  private func started(_ features: UInt64 = features) throws -> NetBench {
    let net = try NetBench.started(features, size: 64)
    for slot in 0..<64 as Range<UInt16> { net.addBuffer(slot, length: 1000) }
    return net
  }

  /// Whether frames to the own address, another one, a group and all stations pass.
  private func passes(_ net: NetBench) -> [Bool] {
    [Self.own, Self.other, Self.group, Self.all].map { net.network.offer(NetBench.frame(60, to: $0)) == .accepted }
  }

  @Test("5.1.6.5.1: without CTRL_RX all frames pass; with it, own address, broadcasts and the enabled modes")
  func receiveMode() throws {
    #expect(passes(try started(0)) == [true, true, true, true])
    let net = try started()
    #expect(passes(net) == [true, false, false, true])
    #expect(net.bench.counters[.dropsFiltered] == 2)
    for (command, expected) in [
      (0, [true, true, true, true]), (1, [true, false, true, true]), (2, [true, true, false, true]),
      (4, [false, false, false, true]), (5, [true, false, false, false]),
    ] as [(UInt8, [Bool])] {
      #expect(net.control(0, command, [1]) == 0)
      #expect(passes(net) == expected, "command \(command)")
      #expect(net.control(0, command, [0]) == 0)
      #expect(passes(net) == [true, false, false, true])
    }
    _ = net.control(0, 1, [1])
    #expect(net.control(0, 3, [1]) == 0)
    #expect(passes(net) == [true, false, false, true], "NOMULTI overrides ALLMULTI")
  }

  private func table(_ addresses: [[UInt8]]) -> [UInt8] {
    [UInt8(addresses.count & 0xFF), UInt8(addresses.count >> 8), 0, 0] + addresses.flatMap { $0 }
  }

  @Test("5.1.6.5.2: MAC tables; after a table that is too long, its whole class passes until the next table")
  func tables() throws {
    let net = try started()
    #expect(net.control(1, 0, table([Self.other]) + table([Self.group])) == 0)
    #expect(passes(net) == [true, true, true, true])
    #expect(net.control(1, 0, table([]) + table([])) == 0)
    #expect(passes(net) == [true, false, false, true])
    let many = (0..<65).map { [0x52, 0x54, 1, 1, 1, UInt8($0)] as [UInt8] }
    #expect(net.control(1, 0, table(many) + table([])) == 0)
    #expect(passes(net) == [true, true, false, true])
    let thousand = Array(repeating: Self.own, count: 1000)
    #expect(net.control(1, 0, table(thousand) + table([])) == 0)
    #expect(passes(net) == [true, true, false, true])
    #expect(net.control(1, 0, table([]) + table(many)) == 0)
    #expect(passes(net) == [true, false, true, true])
    #expect(net.control(1, 0, table([]) + table([])) == 0)
    #expect(passes(net) == [true, false, false, true])
    // A table does not undo the mode that the driver set.
    _ = net.control(0, 2, [1])
    #expect(net.control(1, 0, table([]) + table([])) == 0)
    #expect(passes(net) == [true, true, false, true])
  }

  @Test("5.1.6.5.2: the MAC address changes at once, and a reset restores the first one")
  func address() throws {
    let net = try started()
    #expect(net.driver.configuration(0, 6) == Self.own)
    #expect(net.control(1, 1, Self.other) == 0)
    #expect(net.driver.configuration(0, 6) == Self.other)
    #expect(passes(net) == [false, true, false, true])
    #expect(net.control(1, 1, Self.group) == 1)
    #expect(net.control(1, 1, Array(Self.other.prefix(5))) == 1)
    net.driver.start(Self.features, queues: 3)
    #expect(net.driver.configuration(0, 6) == Self.own)
  }

  @Test(
    "5.1.6.5.3: VLANs pass once added; untagged frames always", arguments: [features, 1 << 17 | 1 << 19] as [UInt64])
  func vlans(features: UInt64) throws {
    let net = try started(features)
    func passes(_ tag: [UInt8]) -> Bool {
      net.network.offer(NetBench.frame(60, type: [0x81, 0x00] + tag)) == .accepted
    }
    #expect(net.network.offer(NetBench.frame(60)) == .accepted)
    #expect(!passes([0x0F, 0xFF]))
    #expect(net.control(2, 0, [0xFF, 0x0F]) == 0)
    #expect(passes([0x0F, 0xFF]))
    #expect(passes([0xEF, 0xFF]), "priority bits are not part of the number")
    #expect(!passes([0x0F, 0xFE]))
    #expect(net.control(2, 1, [0xFF, 0x0F]) == 0)
    #expect(!passes([0x0F, 0xFF]))
    #expect(net.control(2, 0, [0x00, 0x10]) == 1, "4096")
    #expect(net.control(2, 2, [0, 0]) == 1)
    #expect(net.control(2, 0, [0]) == 1)
  }

  @Test("5.1.6.5.6: guest offloads are a subset of what was negotiated")
  func guestOffloads() throws {
    let net = try started(1 << 17 | 1 << 2 | NetBench.guestChecksum | NetBench.guestTSO4)
    #expect(net.device.acceptedOffloads == [.checksum, .tso4])
    #expect(net.control(5, 0, [0, 0, 0, 0, 0, 0, 0, 0]) == 0)
    #expect(net.device.acceptedOffloads == [])
    #expect(net.control(5, 0, [2, 0, 0, 0, 0, 0, 0, 0]) == 0)
    #expect(net.device.acceptedOffloads == [.checksum])
    #expect(net.control(5, 0, [0, 1, 0, 0, 0, 0, 0, 0]) == 1, "TSO6 was not negotiated")
    #expect(net.control(5, 0, [2, 0, 0, 0]) == 1)
    #expect(net.control(5, 1, [2, 0, 0, 0, 0, 0, 0, 0]) == 1)
    #expect(net.device.acceptedOffloads == [.checksum])
  }

  @Test(
    "unknown, malformed and oversized commands are answered ERR and counted",
    arguments: [
      [0, 6, 1], [0, 0, 2], [0, 0], [0, 0, 1, 1], [1, 2], [1, 0], [1, 0, 0xFF, 0xFF, 0xFF, 0xFF],
      [1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], [3, 0], [4, 0, 1, 0],
      [5, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0xFF, 0xFF], [0, 0] + [UInt8](repeating: 1, count: 5000),
      [1, 0] + [UInt8](repeating: 0, count: 70_000),
    ] as [[UInt8]])
  func refused(command: [UInt8]) throws {
    let net = try started()
    #expect(net.control(command[0], command[1], Array(command[2...])) == 1)
    #expect(net.bench.counters[.badRequest] == 1)
    #expect(passes(net) == [true, false, false, true])
  }

  @Test("classes that were not negotiated are refused")
  func notNegotiated() throws {
    let net = try started(1 << 17)
    #expect(net.control(0, 0, [1]) == 1)
    #expect(net.control(1, 1, Self.other) == 1)
    #expect(net.control(1, 0, table([]) + table([])) == 1)
    #expect(net.control(2, 0, [1, 0]) == 1)
    #expect(net.control(4, 0, [1, 0]) == 1)
    #expect(net.control(5, 0, [0, 0, 0, 0, 0, 0, 0, 0]) == 1)
  }

  @Test("5.1.6.5.1: ALLUNI, NOMULTI, NOUNI and NOBCAST need CTRL_RX_EXTRA", arguments: [2, 3, 4, 5] as [UInt8])
  func extraModes(command: UInt8) throws {
    let net = try started(1 << 17 | 1 << 18)
    #expect(net.control(0, 1, [1]) == 0)
    #expect(net.control(0, command, [1]) == 1)
    #expect(passes(net) == [true, false, true, true])
  }

  @Test("a command without room for the answer still completes; one without a class is an error")
  func framing() throws {
    let net = try started()
    net.bench.store([0, 0, 1], at: NetBench.controlData)
    net.controlRing.add([(NetBench.controlData, 3, false)])
    net.controlRing.kick()
    #expect(net.controlRing.takeUsed()?.length == 0)
    net.controlRing.add([(NetBench.controlData + 16, 1, true)])
    net.controlRing.kick()
    #expect(net.controlRing.takeUsed()?.length == 1)
    #expect(net.bench.bytes(at: NetBench.controlData + 16, count: 1) == [1])
  }

  @Test("5.1.4: the configuration's layout")
  func configuration() throws {
    let net = try NetBench()
    #expect(net.driver.configuration(0, 14) == Self.own + [1, 0, 1, 0, 0x78, 0x05, 0, 0])
    net.driver.write(0x2000, width: 1, 0xFF)
    #expect(net.driver.configuration(0, 1) == [0x52])
  }
}
