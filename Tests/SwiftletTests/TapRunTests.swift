import TestSupport
import Testing

@Suite(
  "swiftlet run with a tap", .needsKVM, .timeLimit(.minutes(10)),
  .enabled(if: HostLab.isAvailable, "needs root, /dev/net/tun and the right to make a network namespace"))
struct TapRunTests {
  /// `guest TAP` boots a guest that ends at once, `silent TAP` one that does not end by itself.
  private static let guests = """
    guest() { run as_nobody $S run --kernel test-guest --append program=hello --net backend=tap,interface=$1; }
    silent() {
      exec setpriv --pdeathsig KILL $S run --kernel test-guest --append 'program=crash how=silence' --serial none \\
        --net backend=tap,interface=$1${2-} --timeout 20 --stats text
    }
    carrier() { ip -o link show $1 | grep -q LOWER_UP; }

    """

  @Test("the user's own tap needs no CAP_NET_ADMIN; statistics show its link and offloads")
  func own() throws {
    let lines = try HostLab.run(
      Self.guests + """
        $S network up --user nobody >/dev/null
        guest swiftlet0-tap0
        as_nobody $S run --kernel test-guest --append program=hello --net backend=tap,interface=swiftlet0-tap1 \\
          --stats text 2>&1 | grep "^tap0: on"
        as_nobody $S run --kernel test-guest --append program=hello --net backend=tap,interface=swiftlet0-tap1 \\
          --stats json 2>&1 | tr -d ' \\n' | grep -o '"taps":.*'
        run as_nobody $S network status
        """)
    #expect(lines.count == 8, "\(lines)")
    #expect(lines.prefix(2) == [#"{"event":"hello","cpus":1}"#, "= 0"])
    #expect(lines.dropFirst(2).first == "tap0: on swiftlet0-tap1, link up, offloads none")
    #expect(
      lines.dropFirst(3).first?.contains(
        #""taps":{"tap0":{"hasLink":true,"interface":"swiftlet0-tap1","offloads":[]}}"#) == true)
  }

  /// `with_tap NAME COMMAND…` runs a command with a tap at descriptor 9, as a program that manages VMs does.
  private static let withTap = """
    with_tap() {
      perl -e '$^F = 255; open(F, "+<", "/dev/net/tun") or die; ioctl(F, 0x400454ca, pack("a16s", shift, 0x5002)) or die;
        require POSIX; POSIX::dup2(fileno(F), 9); POSIX::close(fileno(F)); exec @ARGV' "$@"
    }

    """

  @Test("fd= takes a tap that the caller has opened; a second NIC on a copy of the descriptor is refused")
  func descriptor() throws {
    let lines = try HostLab.run(
      Self.withTap + """
        export -f as_nobody
        net="run --kernel test-guest --append program=hello --stats text --net backend=tap,fd=9"
        with_tap swt0 bash -c "as_nobody $S $net" 2>&1 | grep -E "hello|^tap0: on"
        with_tap swt0 bash -c "exec $S $net --net backend=tap,fd=10 10<&9" 2>&1
        ip tuntap add swt1 mode tap
        with_tap swt1 bash -c "$S $net; ip -o link show swt1 | grep -c LOWER_UP"  2>&1 | grep -E "hello|^tap0: on|^[0-9]$"
        """)
    #expect(
      lines == [
        #"{"event":"hello","cpus":1}"#, "tap0: on swt0, link down, offloads none",
        "swiftlet: use descriptor 10 as a tap: another --net already uses the tap swt0. Give each NIC its own tap.",
        #"{"event":"hello","cpus":1}"#, "tap0: on swt1, link down, offloads none", "0",
      ])
  }

  @Test("a missing tap, one of another user or group, or an interface that is not a tap: one line with the fix")
  func refused() throws {
    let lines = try HostLab.run(
      Self.guests + """
        ip tuntap add of-root mode tap user root
        ip tuntap add of-lp mode tap group 7
        ip tuntap add queues mode tap multi_queue user nobody
        ip tuntap add packets mode tun user nobody
        ip link add bridge0 type bridge
        for name in absent absent,create=on of-root of-lp queues packets bridge0; do guest $name; done
        """)
    let taps = "To create a bridge with taps for your user: sudo swiftlet network up"
    let mine = "Create your own: sudo ip tuntap add NAME mode tap user $USER && sudo ip link set NAME up"
    #expect(
      lines.filter { $0 != "= 1" } == [
        "swiftlet: open the tap absent: there is no such interface. Create a bridge with taps for your user: "
          + "sudo swiftlet network up, or let this run create a tap without a bridge, as root: create=on",
        "swiftlet: open the tap absent: there is no such interface, and creating one needs CAP_NET_ADMIN. "
          + "Create a bridge with taps for your user: sudo swiftlet network up",
        "swiftlet: open the tap of-root: it belongs to the user root. \(mine)",
        "swiftlet: open the tap of-lp: it belongs to the group lp. \(mine)",
        "swiftlet: open the tap queues: it is a multi-queue tap, and swiftlet reads only one queue. "
          + "Create it again with one queue: "
          + "sudo ip tuntap del queues mode tap multi_queue && sudo ip tuntap add queues mode tap user $USER && "
          + "sudo ip link set queues up",
        "swiftlet: open the tap packets: it is a tun, which carries IP packets instead of Ethernet frames. "
          + "Name a tap. \(taps)",
        "swiftlet: open the tap bridge0: it is not a tap but a bridge. Name a tap. \(taps)",
      ])
    #expect(lines.filter { $0 == "= 1" }.count == 7)
  }

  @Test("for a tap in use by a VM, status shows the process, and a second VM is refused")
  func busy() throws {
    let lines = try HostLab.run(
      Self.guests + """
        $S network up --user nobody >/dev/null
        (silent swiftlet0-tap1) >/dev/null 2>&1 &
        await carrier swiftlet0-tap1
        $S network status | sed "s/process $!/process N/"
        guest swiftlet0-tap1
        guest swiftlet0-tap0
        kill -KILL $!
        wait $! 2>/dev/null
        $S network status | tail -1
        """)
    #expect(
      lines == [
        "swiftlet0: bridge, up, mtu 1500, 10.73.0.1/24", "swiftlet0-tap0: tap of nobody, up, mtu 1500, free",
        "swiftlet0-tap1: tap of nobody, up, mtu 1500, in use by process N (swiftlet)",
        "swiftlet: open the tap swiftlet0-tap1: another process has it open. Give each VM its own tap.", "= 1",
        #"{"event":"hello","cpus":1}"#, "= 0", "swiftlet0-tap1: tap of nobody, up, mtu 1500, free",
      ])
  }

  @Test("a tap of the same name in another network namespace is a different one: status shows free")
  func namesake() throws {
    let lines = try HostLab.run(
      Self.guests + """
        holds() { grep -qs "^iff:.*$2" /proc/$1/fdinfo/*; }
        export -f silent
        $S network up --user nobody --taps 1 >/dev/null
        (exec unshare --net bash -c '$S network up --taps 1; silent swiftlet0-tap0') >/dev/null 2>&1 &
        await holds $! swiftlet0-tap0
        $S network status | tail -1
        kill -KILL $!
        """)
    #expect(lines == ["swiftlet0-tap0: tap of nobody, up, mtu 1500, free"])
  }

  @Test("a missing tap is refused even for root, and not created: a misspelt name would have no bridge")
  func misspelt() throws {
    let lines = try HostLab.run(
      Self.guests + """
        run $S run --kernel test-guest --append program=hello --net backend=tap,interface=swiftlet0-tap9
        ip -o link show swiftlet0-tap9
        """)
    #expect(lines.count == 3, "\(lines)")
    #expect(lines.first?.contains("open the tap swiftlet0-tap9: there is no such interface. ") == true, "\(lines)")
    #expect(lines.last?.contains("does not exist") == true)
  }

  @Test("create=on makes a tap that is up, and that disappears with the run, even a killed one")
  func made() throws {
    let lines = try HostLab.run(
      Self.guests + """
        (silent made0 ,create=on) >/dev/null 2>&1 &
        await carrier made0
        kill -KILL $!
        wait $! 2>/dev/null
        ip -o link show made0
        """)
    #expect(lines.count == 1 && lines.first?.contains("does not exist") == true, "\(lines)")
  }

  @Test("when a tap is deleted under a VM, the VM continues without a link and reports it at its end")
  func deleted() throws {
    let lines = try HostLab.run(
      Self.guests + """
        $S network up --user nobody >/dev/null
        (silent swiftlet0-tap0) 2>stats &
        await carrier swiftlet0-tap0
        $S network down
        sleep 0.5
        kill -INT $!
        wait $!
        echo "= $?"
        grep -oE "^tap0: on.*|linkChanges [0-9]+|^stopped" stats
        """)
    #expect(
      lines == [
        "removed swiftlet0-tap0, swiftlet0-tap1, swiftlet0", "= 0", "stopped", "linkChanges 1",
        "tap0: on swiftlet0-tap0, link down, offloads none",
      ])
  }
}
