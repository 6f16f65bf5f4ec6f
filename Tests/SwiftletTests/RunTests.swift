import Foundation
import KVM
import TestSupport
import Testing
import Workload

@Suite("swiftlet run as a user runs it", .serialized, .needsKVM, .timeLimit(.minutes(10)))
struct RunTests {
  private func run(_ append: String, _ more: [String] = [], in folder: TestFolder? = nil) throws
    -> (status: Int32, output: String, errors: String)
  {
    try swiftlet(["run", "--kernel", "test-guest", "--append", append] + more, in: folder)
  }

  @Test("hello prints its JSON line and nothing else, with status 0")
  func hello() throws {
    let result = try run("program=hello name=you")
    #expect(result.status == 0)
    #expect(result.output == "{\"event\":\"hello\",\"name\":\"you\",\"cpus\":1}\n")
    #expect(result.errors == "")
  }

  @Test("several vCPUs, pinned")
  func processors() throws {
    let result = try run("program=hello cpus=3", ["--cpus", "3", "--pin", "0"])
    #expect(result.output == "{\"event\":\"hello\",\"cpus\":3}\n")
  }

  @Test("--memory takes decimal fractions of a unit", arguments: ["64.5M", "0.0625G", "66048.0K"])
  func fractions(memory: String) throws {
    let result = try run("program=hello", ["--memory", memory])
    #expect(result.status == 0 && result.errors == "")
  }

  @Test("a crash has status 2 and shows registers and the last exits")
  func crash() throws {
    let result = try run("program=crash how=triple-fault")
    #expect(result.status == 2)
    #expect(result.errors.hasPrefix("guest crashed on vCPU 0: triple fault\n"))
    #expect(result.errors.contains(System.kind == .svm ? "  no registers: " : "   rip 0000000000"))
    #expect(result.errors.contains("last exits, oldest first:"))
  }

  @Test("a guest that ends with v > 0 has status 2v + 1: 5 for an unknown program, 7 for an exception")
  func values() throws {
    #expect(try run("program=nothing").status == 5)
    let fault = try run("program=crash how=page-fault")
    #expect(fault.status == 7)
    #expect(fault.output.contains("\"vector\":14"))
  }

  @Test("a guest that times out has status 124 and one error line")
  func timeout() throws {
    let result = try run("program=crash how=silence", ["--timeout", "0.2"])
    #expect(result.status == 124)
    #expect(result.errors == "swiftlet: the guest ran longer than --timeout 0.2\n")
  }

  @Test("SIGINT ends a writing guest cleanly: status 0, no torn block, and the disk is unlocked")
  func interrupt() throws {
    let folder = try TestFolder()
    try folder.makeDisk("disk", size: 4 << 20)
    let guest = try CommandRun(
      [
        "run", "--kernel", "test-guest", "--disk", "file=disk", "--append",
        "program=disk device=virtio-blk operation=write block=65536 depth=8 duration-ms=600000",
      ], in: folder)
    for _ in 0..<2000 {
      if try folder.read("disk").contains(where: { $0 != 0 }) { break }
      usleep(5000)
    }
    guest.interrupt()
    let result = guest.wait()
    #expect(result.status == 0)
    #expect(result.errors == "")
    let disk = try folder.read("disk")
    var written = 0
    for block in 0..<disk.count / 65_536 {
      let bytes = Array(disk[65_536 * block..<65_536 * (block + 1)])
      let isRight = bytes.withUnsafeBytes { TestDisk.check($0, sector: UInt64(128 * block), generation: 1) }
      let isEmpty = bytes.allSatisfy { $0 == 0 }
      #expect(isRight || isEmpty, "block \(block)")
      written += isRight ? 1 : 0
    }
    #expect(written > 0)
    #expect(try run("program=hello", ["--disk", "file=disk"], in: folder).status == 0)
    #expect(folder.listing == ["disk \(4 << 20)"])
  }

  @Test("an IDE disk and a virtio disk keep what a guest wrote", arguments: ["ide", "virtio-blk"])
  func disk(device: String) throws {
    let folder = try TestFolder()
    try folder.makeDisk("disk", size: 1 << 20)
    let result = try run(
      "program=disk device=\(device) operation=read block=4096 duration-ms=20",
      ["--disk", "file=disk,model=\(device == "ide" ? "ide" : "virtio")"], in: folder)
    #expect(result.status == 0, "\(result.output)\(result.errors)")
    let disk = try folder.read("disk")
    #expect(disk.withUnsafeBytes { TestDisk.check($0, sector: 0, generation: 0) })
  }

  @Test("a read-only disk refuses a guest's writes and is unchanged")
  func readOnly() throws {
    let folder = try TestFolder()
    try folder.makeDisk("disk")
    let result = try run(
      "program=disk device=virtio-blk operation=write block=4096 duration-ms=20",
      ["--disk", "file=disk,readonly=on", "--timeout", "20"], in: folder)
    #expect(result.status != 0)
    #expect(try folder.read("disk").allSatisfy { $0 == 0 })
  }

  @Test("--stats json=FILE is JSON with the run's counts")
  func statistics() throws {
    let folder = try TestFolder()
    let result = try run("program=hello", ["--stats", "json=stats.json"], in: folder)
    #expect(result.status == 0 && result.errors == "")
    let data = Data(try folder.read("stats.json"))
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(object["outcome"] as? String == "ended 0")
    #expect(object["exits"] as? Int ?? 0 > 0)
    #expect(object["vCPUSeconds"] as? Double ?? -1 >= 0)
    let counters = try #require(object["counters"] as? [String: [String: Int]])
    let ports = try #require(counters["vcpu0"]?["exitsPortIO"])
    let registers = try #require(object["exitsByRegister"] as? [[String: Any]])
    let sum = registers.filter { $0["space"] as? String == "port" }.reduce(0) { $0 + ($1["exits"] as? Int ?? 0) }
    #expect(sum == ports)
    // The exit that ends the guest is one of them.
    #expect(
      registers.contains { $0["address"] as? String == "0xf4" && $0["access"] as? String == "write" })
  }

  @Test("--stats text prints to standard error after the guest's output")
  func statisticsText() throws {
    let result = try run("program=hello", ["--stats", "text"])
    #expect(result.output == "{\"event\":\"hello\",\"cpus\":1}\n")
    #expect(result.errors.hasPrefix("ended 0; "))
    #expect(result.errors.contains("exits by register:"))
  }

  @Test("--serial file=F redirects the guest's lines from standard output to F")
  func serialFile() throws {
    let folder = try TestFolder()
    let result = try run("program=hello name=file", ["--serial", "file=log"], in: folder)
    #expect(result.status == 0 && result.output == "")
    let log = String(decoding: try folder.read("log"), as: UTF8.self)
    #expect(log == "{\"event\":\"hello\",\"name\":\"file\",\"cpus\":1}\n")
    #expect(try run("program=hello", ["--serial", "none"], in: folder).output == "")
  }

  @Test("pcap=F captures the frames that the NIC sends", arguments: ["e1000", "virtio"])
  func capture(model: String) throws {
    let folder = try TestFolder()
    let device = model == "e1000" ? "e1000" : "virtio-net"
    // Nobody answers: the guest requests credit and waits.
    let result = try run(
      "program=net device=\(device) operation=send peer=1099511627778",
      ["--net", "model=\(model),mac=02:00:00:00:00:42,pcap=capture", "--timeout", "1.5"], in: folder)
    #expect(result.status == 124)
    let bytes = try folder.read("capture")
    // libpcap's classic format, nanoseconds, Ethernet; then a record of 60 bytes: the frame that begins a stream.
    try #require(bytes.count >= 24 + 16 + 60)
    #expect(bytes[0..<4].elementsEqual([0x4D, 0x3C, 0xB2, 0xA1]))
    #expect(bytes[20..<24].elementsEqual([1, 0, 0, 0]))
    #expect(bytes[32..<40].elementsEqual([60, 0, 0, 0, 60, 0, 0, 0]))
    #expect(bytes[40..<46].elementsEqual([2, 0, 0, 0, 0, 1]))
    #expect(bytes[46..<52].elementsEqual([2, 0, 0, 0, 0, 0x42]))
    #expect(bytes[52..<55].elementsEqual([0x88, 0xB5, 1]))
  }
}
