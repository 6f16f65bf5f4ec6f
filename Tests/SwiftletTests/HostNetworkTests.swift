import Foundation
import TestSupport
import Testing

@Suite(
  "swiftlet network: up, down, status", .timeLimit(.minutes(10)),
  .enabled(if: HostLab.isAvailable, "needs root, /dev/net/tun and the right to make a network namespace"))
struct HostNetworkTests {
  @Test("up makes bridge, address and taps, status shows them, and down removes them; a second down finds nothing")
  func upAndDown() throws {
    let lines = try HostLab.run(
      """
      run $S network up --user nobody --mtu 9000 --taps 3
      run $S network down
      run $S network down
      run $S network status
      ip -o link | wc -l
      """)
    let status = "show the network swiftlet0: there is no such bridge. Create it: sudo swiftlet network up"
    #expect(
      lines == [
        "swiftlet0: bridge, up, mtu 9000, 10.73.0.1/24", "swiftlet0-tap0: tap of nobody, up, mtu 9000, free",
        "swiftlet0-tap1: tap of nobody, up, mtu 9000, free", "swiftlet0-tap2: tap of nobody, up, mtu 9000, free", "= 0",
        "removed swiftlet0-tap0, swiftlet0-tap1, swiftlet0-tap2, swiftlet0", "= 0", "swiftlet0 does not exist",
        "= 0", "swiftlet: \(status) --bridge swiftlet0", "= 1", "1",
      ])
  }

  @Test("the bridge forwards at once and floods multicast, like a plain switch")
  func bridgeSettings() throws {
    let lines = try HostLab.run(
      """
      $S network up --user nobody >/dev/null
      ip -d -j link show swiftlet0 | grep -oE '"(forward_delay|mcast_snooping|stp_state)":[0-9]+'
      bridge -j link show dev swiftlet0-tap1 | grep -oE '"master":"[a-z0-9]+"'
      """)
    #expect(
      lines == [#""forward_delay":0"#, #""stp_state":0"#, #""mcast_snooping":0"#, #""master":"swiftlet0""#])
  }

  @Test("a second up changes nothing, or restores missing parts")
  func completes() throws {
    let lines = try HostLab.run(
      """
      state() { ip -j address | grep -oE '"(ifindex|ifname|address|local|prefixlen|master|mtu|ifalias)":[^,}]+'; }
      $S network up --user nobody >/dev/null
      state >before
      $S network up --user nobody >/dev/null
      state | diff before - && grep -c ifindex before
      ip link delete swiftlet0-tap1
      ip address flush dev swiftlet0
      ip link set swiftlet0-tap0 nomaster
      ip link set swiftlet0 down
      run $S network status
      run $S network up --user nobody
      ip link delete swiftlet0
      run $S network status
      run $S network up --user nobody
      """)
    let whole = [
      "swiftlet0: bridge, up, mtu 1500, 10.73.0.1/24", "swiftlet0-tap0: tap of nobody, up, mtu 1500, free",
      "swiftlet0-tap1: tap of nobody, up, mtu 1500, free", "= 0",
    ]
    let apart = [0, 1].map { "swiftlet0-tap\($0): tap of nobody, up, mtu 1500, not on the bridge, free" }
    #expect(
      lines
        == ["4", "swiftlet0: bridge, down, mtu 1500", apart[0], "= 0"] + whole
        + ["swiftlet0: missing. Create it: sudo swiftlet network up --bridge swiftlet0"] + apart + ["= 0"]
        // A new bridge comes after the taps it gets.
        + [whole[1], whole[2], whole[0], "= 0"])
  }

  @Test("down removes the rest of a network, but no interface that others made, even on the bridge")
  func leftovers() throws {
    let lines = try HostLab.run(
      """
      $S network up --user nobody >/dev/null
      ip link add other0 type bridge
      ip tuntap add other1 mode tap
      ip link set other1 master swiftlet0
      ip tuntap add swiftlet0-tap2 mode tap
      run $S network status
      ip link delete swiftlet0
      run $S network down
      ip -o link | cut -d: -f2
      """)
    #expect(lines.contains("removed swiftlet0-tap0, swiftlet0-tap1"))
    #expect(lines.contains("other1: tap of anybody, not created by this command, down, mtu 1500, free"))
    #expect(lines.suffix(4) == [" lo", " other0", " other1", " swiftlet0-tap2"])
  }

  @Test("an up that fails halfway removes exactly the interfaces that it added")
  func failsHalfway() throws {
    let lines = try HostLab.run(
      """
      run $S network up --user nobody --address ff02::1/64
      ip -o link | wc -l
      $S network up --user nobody --taps 1 >/dev/null
      ip address flush dev swiftlet0
      run $S network up --user nobody --address ff02::1/64
      ip -o link | cut -d: -f2
      """)
    #expect(lines.count == 8, "\(lines)")
    #expect(
      lines.first?.hasPrefix("swiftlet: create the network swiftlet0: ip address replace ff02::1/64 dev swiftlet0: ")
        == true)
    #expect(lines.dropFirst().prefix(2) == ["= 1", "1"])
    #expect(lines.suffix(4) == ["= 1", " lo", " swiftlet0", " swiftlet0-tap0"])
  }

  @Test("after an up or a down is killed at any point, the next up completes the network and the next down removes it")
  func killed() throws {
    let lines = try HostLab.run(
      """
      is_quiet() {
        for process in /proc/[0-9]*; do
          [ "$(readlink $process/ns/net)" = "$(readlink /proc/$$/ns/net)" ] &&
            grep -qxE "ip|swiftlet" $process/comm && return 1
        done
        return 0
      }
      for delay in 0.01 0.02 0.03 0.04 0.05 0.06 0.07 0.08; do
        for change in "up --user nobody --taps 8" down; do
          timeout --signal KILL $delay $S network $change >/dev/null 2>&1
          # The ip that it started, or is about to, goes on to its end.
          await is_quiet
        done
        $S network up --user nobody --taps 8 | grep -c "^swiftlet0-tap.: tap of nobody, up, mtu 1500, free"
        $S network down >/dev/null
        ip -o link | wc -l
      done
      """)
    #expect(lines.filter { !$0.contains("Killed") } == [[String]](repeating: ["8", "1"], count: 8).flatMap { $0 })
  }

  @Test(
    "an impossible request prints one line with the fix, and changes nothing",
    arguments: [
      ("--mtu 67", "use an MTU of 67: a tap allows 68 to 65521. Use --mtu 1500 or --mtu 9000."),
      ("--mtu 65522", "use an MTU of 65522: a tap allows 68 to 65521. Use --mtu 1500 or --mtu 9000."),
      ("--user nosuch", "assign the taps to the user nosuch: there is no such user. List the users: getent passwd"),
      ("--taps 0", "create 0 taps on swiftlet0: there may be 1 to 64"),
      ("--taps 65", "create 65 taps on swiftlet0: there may be 1 to 64"),
      (
        "--bridge abcdefghij --taps 11", "create 11 taps on abcdefghij: there may be 1 to 64, and the last one"
      ),
      ("--bridge abcdefghijk", "name the bridge 'abcdefghijk': it takes 1 to 10 letters, digits, - _ and ."),
      ("--bridge 'a b'", "name the bridge 'a b': it takes 1 to 10"),
      ("--bridge ''", "name the bridge '': it takes 1 to 10"),
      ("--address 10.73.0.1", "read the address 10.73.0.1: it is not an address with a prefix length"),
      ("--address 10.73.0.1/33", "Use one such as 10.73.0.1/24."),
      ("--address 10.73.0.256/24", "Use one such as 10.73.0.1/24."),
      ("--address 10.99.0.1/16", "other0 has the address 10.99.0.1. Choose another network, for example"),
      ("--bridge other0", "there is an interface other0 that this command did not create. Name another bridge with"),
      ("--bridge other", "there is an interface other-tap1 that this command did not create. Name another bridge with"),
    ])
  func refused(arguments: String, text: String) throws {
    let lines = try HostLab.run(
      """
      ip link add other0 type bridge
      ip address add 10.99.0.1/24 dev other0
      ip tuntap add other-tap1 mode tap user nobody
      run $S network up --user nobody \(arguments)
      ip -o link | wc -l
      """)
    #expect(lines.count == 3, "\(lines)")
    #expect(lines.first?.hasPrefix("swiftlet: ") == true && lines.first?.contains(text) == true, "\(lines)")
    #expect(lines.suffix(2) == ["= 1", "3"])
  }

  @Test("errors report different settings, other owners and missing rights")
  func otherwise() throws {
    let lines = try HostLab.run(
      """
      $S network up --user nobody >/dev/null
      run $S network up --user root
      run $S network up --user nobody --address 10.74.0.1/24
      run $S network up --user nobody --bridge second
      run as_nobody $S network up --bridge second --address 10.74.0.1/24
      run as_nobody $S network down
      ip link add other0 type bridge
      run $S network down --bridge other0
      """)
    let first = "Remove the network first: sudo swiftlet network down --bridge swiftlet0"
    #expect(
      lines.filter { $0 != "= 1" } == [
        "swiftlet: create the network swiftlet0: swiftlet0-tap0 belongs to nobody, not to root. \(first)",
        "swiftlet: create the network swiftlet0: swiftlet0 has the address 10.73.0.1/24, not 10.74.0.1/24. \(first)",
        "swiftlet: create the network second: swiftlet0 has the address 10.73.0.1. "
          + "Choose another network, for example with --address 10.74.0.1/24.",
        "swiftlet: create the network second: ip link add name second type bridge forward_delay 0 mcast_snooping 0: "
          + "Operation not permitted. Run it as root: "
          + "sudo swiftlet network up --bridge second --address 10.74.0.1/24",
        "swiftlet: remove the network swiftlet0: ip link delete dev swiftlet0-tap0: Operation not permitted. "
          + "Run it as root: sudo swiftlet network down",
        "swiftlet: remove the network other0: this command did not create other0. "
          + "If nobody needs it: sudo ip link delete other0",
      ])
    #expect(lines.filter { $0 == "= 1" }.count == 6)
  }
}
