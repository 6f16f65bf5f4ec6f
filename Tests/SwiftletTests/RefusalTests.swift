import Foundation
import TestSupport
import Testing

/// An invalid command line, the cause that it must print, and the fix that it must name.
struct Refusal: Sendable, CustomTestStringConvertible {
  var arguments: [String]
  var cause: String
  var fix: String

  init(_ line: String, _ cause: String, _ fix: String) {
    arguments = line.split(separator: " ").map(String.init)
    self.cause = cause
    self.fix = fix
  }

  var testDescription: String { arguments.joined(separator: " ") }

  /// Checks for one line with cause and fix, status 1, no output, and no files left behind.
  func check(in folder: TestFolder) throws {
    let before = folder.listing
    let result = try swiftlet(arguments, in: folder)
    #expect(result.status == 1)
    #expect(result.output == "")
    #expect(result.errors.hasPrefix("swiftlet: ") && result.errors.hasSuffix("\n"))
    #expect(result.errors.filter { $0 == "\n" }.count == 1, "\(result.errors)")
    #expect(result.errors.contains(cause), "\(result.errors)")
    #expect(result.errors.contains(fix), "\(result.errors)")
    #expect(folder.listing == before)
  }
}

@Suite("An invalid command line: one line with cause and fix, status 1, no files left behind", .timeLimit(.minutes(10)))
struct RefusalTests {
  private static let guest = "run --kernel test-guest --append program=hello"

  @Test(
    "options and subcommands",
    arguments: [
      Refusal("--bogus", "Unknown option '--bogus'", "See: swiftlet --help"),
      Refusal("frobnicate", "'frobnicate'", "See: swiftlet --help"),
      Refusal("run --kernel test-guest --bogus", "Unknown option '--bogus'", "See: swiftlet run --help"),
      Refusal("run --cpus two --kernel test-guest", "'two'", "See: swiftlet run --help"),
      Refusal("run --memory 12Q --kernel test-guest", "'12Q'", "See: swiftlet run --help"),
      Refusal("run --memory 99999999999T --kernel test-guest", "'99999999999T'", "See: swiftlet run --help"),
      Refusal("run --memory 0.1G --kernel test-guest", "'0.1G'", "See: swiftlet run --help"),
      Refusal("run --memory .5G --kernel test-guest", "'.5G'", "See: swiftlet run --help"),
      Refusal("run --memory 1.G --kernel test-guest", "'1.G'", "See: swiftlet run --help"),
      Refusal("run --memory 1.5.5G --kernel test-guest", "'1.5.5G'", "See: swiftlet run --help"),
      Refusal("run --memory 1.-5G --kernel test-guest", "'1.-5G'", "See: swiftlet run --help"),
      Refusal("run --memory 1.00000000000000000000000000001G --kernel test-guest", "1G'", "See: swiftlet run --help"),
      Refusal("run --memory 99999999999.5T --kernel test-guest", "'99999999999.5T'", "See: swiftlet run --help"),
      Refusal("run --memory 1G", "--kernel", "See: swiftlet run --help"),
      Refusal("guest", "<file>", "See: swiftlet guest --help"),
      Refusal("guest nowhere/guest.elf", "write the test guest to nowhere/guest.elf", "a writable directory"),
      Refusal("compare --format xml", "'xml'", "See: swiftlet compare --help"),
      Refusal("compare --output nowhere/report.html --format html", "No such file", "a writable directory"),
      Refusal("report", "<files>", "See: swiftlet report --help"),
      Refusal("report nowhere.json", "No such file", "swiftlet compare --quick --format json"),
      Refusal("report --format xml nowhere.json", "'xml'", "See: swiftlet report --help"),
      Refusal("report --output report.html /dev/null", "/dev/null: it is empty", "swiftlet compare --format json"),
    ])
  func options(refusal: Refusal) throws { try refusal.check(in: TestFolder()) }

  @Test(
    "compare", .needsKVM,
    arguments: [
      Refusal("compare --only x", "there is no group 'x'", "cpu,disk,net,process,hpcc"),
      Refusal("compare --only ,", "it is empty", "cpu,disk,net,process,hpcc"),
      Refusal("compare --repeat 0", "it must be 1 to 1000", "Use --repeat 5."),
      Refusal("compare --peer-binary qemu", "--peer is missing", "Add --peer qemu."),
      Refusal("compare --ablation --only cpu", "the groups cpu and process use none", "Use --only disk,net."),
      Refusal("compare --ablation --peer qemu", "--ablation measures swiftlet alone", "Use one of them."),
      Refusal("compare --profile 1999", "'2009'", "See: swiftlet compare --help"),
      Refusal("compare --profile 2009 --ablation", "with its accelerations", "Use one of them."),
      Refusal("compare --profile 2009 --peer qemu", "with its accelerations", "Use one of them."),
      Refusal("compare --peer vmware", "'vmware'", "See: swiftlet compare --help"),
      Refusal("compare --repeat 1001", "it must be 1 to 1000", "Use --repeat 5."),
      Refusal("compare --quick --output nowhere/report", "No such file or directory", "a writable directory"),
      Refusal("compare --quick --output .", "Is a directory", "a writable directory"),
    ])
  func compare(refusal: Refusal) throws { try refusal.check(in: TestFolder()) }

  @Test(
    "an output never overwrites a disk image", .needsKVM,
    arguments: [
      Refusal("guest disk.img", "the file exists and is not an ELF image", "Name a new file with FILE."),
      Refusal("compare --quick --output disk.img", "the file exists and is not a report", "with --output"),
      Refusal("\(guest) --stats json=disk.img", "the file exists and is not a text file", "with --stats json=FILE"),
    ])
  func overwrite(refusal: Refusal) throws {
    let folder = try TestFolder()
    try folder.makeDisk("disk.img")
    try refusal.check(in: folder)
  }

  @Test(
    "the machine", .needsKVM,
    arguments: [
      Refusal("\(guest) --memory 1", "at least 2M", "Use --memory 128M."),
      Refusal("\(guest) --memory 4194305", "a multiple of 4096", "Use --memory 128M."),
      Refusal("\(guest) --memory 1000T", "this host has", "or less, which is free now."),
      Refusal("\(guest) --cpus 0", "allows 1 to", "--cpus"),
      Refusal("\(guest) --cpus 1000", "allows 1 to", "--cpus"),
      Refusal("\(guest) --cpus 256", "swiftlet allows 1 to 255, because APIC IDs have 8 bits without x2APIC", "--cpus"),
      Refusal("\(guest) --initrd nowhere", "load nowhere: there is no such file", "--initrd"),
      Refusal("\(guest) --initrd .", "it is neither a file nor a pipe", "ls -l ."),
      Refusal("\(guest) --memory 2M --initrd /proc/self/exe", "KiB above the kernel", "--memory"),
      Refusal(
        "run --kernel test-guest --append \(String(repeating: "a", count: 2048))",
        "the command line has 2048 bytes, but the kernel takes at most 2047",
        "Shorten --append."),
      Refusal("\(guest) --cpus=-1", "allows 1 to", "--cpus"),
      Refusal("\(guest) --pin 9999", "this host has processors 0 to", "Use --pin 0"),
      Refusal("\(guest) --pin x", "processor x", "Use --pin 0"),
      Refusal("\(guest) --timeout=-1", "that is not a valid time", "Use --timeout 60."),
      Refusal("\(guest) --timeout nan", "that is not a valid time", "Use --timeout 60."),
      Refusal("\(guest) --disable nonsense", "there is no such acceleration", "ioeventfd"),
      Refusal("\(guest) --poll=-1", "it must be 0 to 10000", "Use --poll 100"),
      Refusal("\(guest) --poll 10001", "it must be 0 to 10000", "Use --poll 100"),
      Refusal("\(guest) --stats json=", "the format is", "json=FILE"),
      Refusal("\(guest) --stats xml", "the format is unknown", "json=FILE"),
      Refusal("\(guest) --stats json=nowhere/file", "No such file or directory", "a writable directory"),
      Refusal("\(guest) --serial bad", "it is unknown", "Use stdio, none or file=FILE."),
      Refusal("\(guest) --serial file=", "it is unknown", "Use stdio, none or file=FILE."),
      Refusal("\(guest) --serial file=nowhere/log", "No such file or directory", "a writable directory"),
    ])
  func machine(refusal: Refusal) throws { try refusal.check(in: TestFolder()) }

  @Test(
    "disks", .needsKVM,
    arguments: [
      Refusal("\(guest) --disk file=missing", "there is no such file", "truncate -s 1G missing"),
      Refusal("\(guest) --disk file=folder", "it is a directory", "Name a raw image or a block device."),
      Refusal("\(guest) --disk file=/dev/null", "neither a file nor a block device", "Name a raw image"),
      Refusal("\(guest) --disk file=odd", "its size, 1000 bytes, is not a multiple of 512", "truncate -s 1024 odd"),
      Refusal("\(guest) --disk file=empty", "it is empty", "truncate -s 1G empty"),
      Refusal("\(guest) --disk file=disk,model=scsi", "model=scsi is unknown", "ide, virtio"),
      Refusal("\(guest) --disk file=disk,cache=warm", "cache=warm is unknown", "none, writeback"),
      Refusal("\(guest) --disk file=disk,readonly=maybe", "readonly=maybe is unknown", "on, off"),
      Refusal("\(guest) --disk file=disk,size=4", "'size=4' is not one of its settings", "file=…"),
      Refusal("\(guest) --disk disk", "'disk' is not one of its settings", "file=…"),
      Refusal("\(guest) --disk file=disk,file=odd", "'file' appears twice", "Use it once."),
      Refusal("\(guest) --disk model=ide", "file= is missing", "Add file=…."),
      Refusal("\(guest) --disk file=,model=ide", "file= is missing", "Add file=…."),
      Refusal("\(guest) --disk file=disk --disk file=disk", "another process uses it", "fuser disk"),
    ])
  func disks(refusal: Refusal) throws {
    let folder = try TestFolder()
    try folder.makeDisk("disk")
    try folder.makeDisk("odd", size: 1000)
    try folder.makeDisk("empty", size: 0)
    try FileManager.default.createDirectory(atPath: folder["folder"], withIntermediateDirectories: false)
    try refusal.check(in: folder)
  }

  @Test("an image of another format, unless format=raw is given", .needsKVM)
  func otherFormat() throws {
    let folder = try TestFolder()
    try folder.write(Array("QFI".utf8) + [0xFB] + [UInt8](repeating: 0, count: 1020), to: "image")
    try Refusal("\(Self.guest) --disk file=image", "its format is qcow2", "or set format=raw.")
      .check(in: folder)
    let raw = Self.guest.split(separator: " ").map(String.init) + ["--disk", "file=image,format=raw"]
    #expect(try swiftlet(raw, in: folder).status == 0)
  }

  @Test("a fifth IDE disk, and files that the run had created by then", .needsKVM)
  func fifthIDEDisk() throws {
    let folder = try TestFolder()
    var line = "\(Self.guest) --serial file=log --net pcap=capture"
    for index in 1...5 {
      try folder.makeDisk("disk\(index)")
      line += " --disk file=disk\(index),model=ide"
    }
    try Refusal(line, "plug in 5 IDE disks: the controller has two channels", "model=virtio").check(in: folder)
  }

  @Test("a disk that another run has locked", .needsKVM)
  func locked() throws {
    let folder = try TestFolder()
    try folder.makeDisk("disk")
    let other = try TestFolder()
    let holder = try CommandRun(
      [
        "run", "--kernel", "test-guest", "--append", "program=crash how=silence", "--disk", "file=\(folder["disk"])",
        "--serial", "file=ready",
      ], in: other)
    // The serial port's file is created after the disks are locked.
    for _ in 0..<2000 where other.listing.isEmpty { usleep(5000) }
    try Refusal("\(Self.guest) --disk file=disk", "another process uses it", "fuser disk").check(in: folder)
    holder.interrupt()
    #expect(holder.wait().status == 0)
    let again = Self.guest.split(separator: " ").map(String.init) + ["--disk", "file=disk"]
    #expect(try swiftlet(again, in: folder).status == 0)
  }

  @Test(
    "NICs", .needsKVM,
    arguments: [
      Refusal("\(guest) --net backend=slirp", "backend=slirp is unknown", "switch, tap"),
      Refusal("\(guest) --net backend=tap", "interface= is missing", "Add interface=…."),
      Refusal("\(guest) --net backend=tap,interface=a/b", "an interface name has 1 to 15 characters", "ip link"),
      Refusal("\(guest) --net backend=tap,interface=far-too-long-a-name", "1 to 15 characters", "ip link"),
      Refusal("\(guest) --net backend=tap,interface=lo", "open the tap lo", "sudo "),
      Refusal(
        "\(guest) --net backend=switch,interface=tap0", "backend=switch takes no interface=",
        "Use it with backend=tap."),
      Refusal("\(guest) --net create=on", "backend=switch takes no create=", "Use it with backend=tap."),
      Refusal("\(guest) --net backend=tap,interface=lo,create=yes", "create=yes is unknown", "on, off"),
      Refusal(
        "\(guest) --net backend=tap,interface=absent0", "open the tap absent0: there is no such interface",
        "network up, or let this run create a tap without a bridge, as root: create=on"),
      Refusal("\(guest) --net fd=3", "backend=switch takes no fd=", "Use it with backend=tap."),
      Refusal("\(guest) --net backend=tap,fd=2", "fd=2 is not a number from 3 to 1048575", "Use a number"),
      Refusal("\(guest) --net backend=tap,fd=3,interface=lo", "fd= takes no interface=", "Use fd= or interface=."),
      Refusal("\(guest) --net backend=tap,fd=3,create=on", "fd= takes no create=", "Use fd= or interface=."),
      Refusal(
        "\(guest) --net backend=tap,fd=3 --net backend=tap,fd=3", "another --net already uses descriptor 3",
        "Give each its own fd=."),
      // This number is swiftlet's own /dev/kvm, event or file.
      Refusal("\(guest) --net backend=tap,fd=4", "this process inherited no such descriptor", "without close-on-exec"),
      Refusal("\(guest) --net model=rtl8139", "model=rtl8139 is unknown", "e1000, virtio"),
      Refusal("\(guest) --net queues=0", "queues=0 is not a number from 1 to 8", "Use a number in that range."),
      Refusal("\(guest) --net queues=9", "queues=9 is not a number from 1 to 8", "Use a number in that range."),
      Refusal("\(guest) --net queues=many", "queues=many is not a number from 1 to 8", "Use a number in that range."),
      Refusal("\(guest) --net mtu=67", "mtu=67 is not a number from 68 to 65535", "Use a number in that range."),
      Refusal("\(guest) --net mtu=65536", "mtu=65536 is not a number from 68 to 65535", "Use a number in that range."),
      Refusal("\(guest) --net model=e1000,queues=2", "model=e1000 takes no queues=", "Use it with model=virtio."),
      Refusal("\(guest) --net mtu=9000,model=e1000", "model=e1000 takes no mtu=", "Use it with model=virtio."),
      Refusal("\(guest) --net mac=12:34", "it is not a unicast address", "02:00:00:00:00:01"),
      Refusal("\(guest) --net mac=01:00:5e:00:00:01", "it is not a unicast address", "02:00:00:00:00:01"),
      Refusal("\(guest) --net mac=00:00:00:00:00:00", "it is not a unicast address", "02:00:00:00:00:01"),
      Refusal("\(guest) --net mac=0g:00:00:00:00:00", "it is not a unicast address", "02:00:00:00:00:01"),
      Refusal("\(guest) --net pcap=", "pcap= is missing", "Add pcap=…."),
      Refusal("\(guest) --net pcap=nowhere/capture", "No such file or directory", "a writable directory"),
      Refusal(
        "\(guest) --net mac=02:00:00:00:00:01,pcap=one --net mac=02:00:00:00:00:01", "two NICs have the same address",
        "Give each its own mac="),
      Refusal(
        "\(guest) --net backend=tap,interface=absent0 --net backend=tap,interface=absent0",
        "two NICs have the same tap",
        "Give each its own interface="),
      Refusal("\(guest) --net pcap=one,model=ne2k", "model=ne2k is unknown", "e1000, virtio"),
    ])
  func nics(refusal: Refusal) throws { try refusal.check(in: TestFolder()) }

  @Test("more devices than bus 0 has slots", .needsKVM)
  func slots() throws {
    let line = Self.guest + String(repeating: " --net model=virtio", count: 30)
    try Refusal(line, "bus 0 has no free slot", "Use fewer --disk and --net options.").check(in: TestFolder())
  }

  @Test("more memory than the host has: the error suggests the free amount, not half of the total", .needsKVM)
  func memory() throws {
    let result = try swiftlet(Self.guest.split(separator: " ").map(String.init) + ["--memory", "1000T"])
    let digits = try #require(result.errors.firstMatch(of: /Use --memory ([0-9]+)M or less, which is free now/))
    let advised = try #require(Int(digits.1))
    let total = Int(ProcessInfo.processInfo.physicalMemory) >> 20
    let meminfo = try FileHandle(forReadingFrom: URL(filePath: "/proc/meminfo")).readToEnd() ?? Data()
    let lines = String(decoding: meminfo, as: UTF8.self).split(separator: "\n")
    let available = try #require(lines.first { $0.hasPrefix("MemAvailable:") }?.split(separator: " ")[1])
    // Other tests allocate and free memory meanwhile.
    #expect(advised <= total)
    #expect(abs(advised - (Int(available) ?? 0) >> 10) < total / 8)
  }

  @Test("a command line that is too long", .needsKVM)
  func longAppend() throws {
    let line = "run --kernel test-guest --append " + String(repeating: "x", count: 2048)
    try Refusal(line, "the command line has 2048 bytes", "Shorten --append.").check(in: TestFolder())
  }
}
