import Testing

@testable import Backends

@Suite("rtnetlink messages (rtnetlink(7), netlink(7))")
struct NetlinkMessageTests {
  /// RTM_NEWLINK: interface 7, IFF_UP | IFF_LOWER_UP, "tap0", a port of interface 9, a tap of user 1000.
  private static let link: [UInt8] =
    [0x60, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    + [0, 0, 1, 0, 7, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]
    + [9, 0, 3, 0, 0x74, 0x61, 0x70, 0x30, 0, 0, 0, 0]
    + [8, 0, 10, 0, 9, 0, 0, 0]
    + [44, 0, 18, 0]  // IFLA_LINKINFO
    + [8, 0, 1, 0, 0x74, 0x75, 0x6E, 0]
    + [32, 0, 2, 0x80]  // IFLA_INFO_DATA, nested
    + [8, 0, 1, 0, 0xE8, 3, 0, 0]
    + [5, 0, 3, 0, 2, 0, 0, 0]
    + [5, 0, 7, 0, 1, 0, 0, 0]
    + [4, 0, 99, 0]

  @Test("an interface's name, flags, bridge and tap settings are read")
  func newLink() throws {
    let message = try #require(NetlinkMessage(Self.link[...]))
    let link = try #require(HostLink(message))
    #expect(link.index == 7 && link.name == "tap0" && link.master == 9 && link.kind == "tun")
    #expect(link.isUp && link.hasCarrier)
    #expect(link.tun == HostLink.Tun(isTap: true, isMultiQueue: true, owner: 1000, group: nil))
    #expect(message.errorCode == nil)
  }

  @Test("if an answer describes the interface twice, the second description replaces the first")
  func twice() throws {
    var bytes = Self.link + [16, 0, 18, 0] + [9, 0, 1, 0, 0x76, 0x65, 0x74, 0x68, 0, 0, 0, 0]
    bytes[0] = UInt8(bytes.count)
    let message = try #require(NetlinkMessage(bytes[...]))
    let link = try #require(HostLink(message))
    #expect(link.kind == "veth")
    #expect(link.tun == nil)
  }

  @Test("an error message gives its errno value and no interface")
  func error() throws {
    let bytes: [UInt8] = [20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xED, 0xFF, 0xFF, 0xFF]
    let message = try #require(NetlinkMessage(bytes[...]))
    #expect(message.errorCode == 19)
    #expect(HostLink(message) == nil)
  }

  @Test("a truncated message parses as no message or with fewer fields, and never traps")
  func cutOff() throws {
    for count in 0..<Self.link.count { #expect(NetlinkMessage(Self.link[0..<count]) == nil, "\(count)") }
    for count in 16..<Self.link.count {
      // The length in the header matches the truncated message.
      let bytes = [UInt8(count)] + Self.link[1..<count]
      let link = HostLink(try #require(NetlinkMessage(bytes[...])))
      #expect((link != nil) == (count >= 32), "\(count)")
      // The name attribute is complete from 41 bytes on without its padding, and from 44 with it.
      if count >= 32 { #expect(link?.name == (count < 41 ? "" : "tap0"), "\(count)") }
    }
  }

  @Test("an attribute with length 0 ends the list")
  func noLength() {
    #expect(NetlinkAttribute.all(in: [0, 0, 3, 0, 8, 0, 10, 0, 9, 0, 0, 0]).isEmpty)
    #expect(NetlinkAttribute.all(in: [5, 0, 3, 0, 2]).map(\.number) == [2])
  }

  @Test("an attribute is padded to four bytes, and its length excludes the padding")
  func padding() {
    #expect(NetlinkAttribute(3, [0x61, 0]).bytes == [6, 0, 3, 0, 0x61, 0, 0, 0])
  }
}
