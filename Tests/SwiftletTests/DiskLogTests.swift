import Foundation
import TestSupport
import Testing
import Workload

@Suite("Disk logs on the command line", .timeLimit(.minutes(10)))
struct DiskLogTests {
  /// A folder with `disk` and its log. A guest wrote 4 records to the disk, each with a flush.
  private func recorded(_ device: String) throws -> TestFolder {
    let folder = try TestFolder()
    try folder.makeDisk("disk", size: 16 * 512)
    let result = try swiftlet(
      [
        "run", "--kernel", "test-guest", "--disk",
        "file=disk,log=disk.log,model=\(device == "ide" ? "ide" : "virtio")", "--append",
        "program=disk device=\(device) operation=record records=4",
      ], in: folder)
    #expect(result.status == 0 && result.errors == "", "\(result.errors)")
    return folder
  }

  @Test("a run logs its disk, and the summary counts the entries", .needsKVM, arguments: ["ide", "virtio-blk"])
  func summary(device: String) throws {
    let folder = try recorded(device)
    let result = try swiftlet(["disk-log", "disk.log"], in: folder)
    #expect(result.status == 0 && result.errors == "")
    #expect(
      result.output == """
        16 sectors, 16 entries
        writes 4, durable writes 0; bytes 2048
        flushes 4, discards 0, zeroed ranges 0
        failed 0, in flight at the end 0

        """)
  }

  @Test("the disk after a loss of power between a write and its flush", .needsKVM)
  func image() throws {
    let folder = try recorded("virtio-blk")
    // Entries 1 to 4 are the first record and its flush, 5 and 6 the second record, 7 its flush.
    for (point, survivors, records) in [(3, "none", 0), (4, "none", 1), (7, "none", 1), (7, "all", 2), (16, "3", 4)] {
      let arguments = ["disk-log", "disk.log", "--at", "\(point)", "--survivors", survivors, "--output", "image"]
      let result = try swiftlet(arguments, in: folder)
      #expect(result.status == 0 && result.output == "" && result.errors == "", "\(result.errors)")
      let image = try folder.read("image")
      #expect(image.count == 16 * 512)
      for sector in 0..<16 {
        let bytes = Array(image[512 * sector..<512 * (sector + 1)])
        let isWritten = bytes.withUnsafeBytes { TestDisk.check($0, sector: UInt64(sector), generation: 1) }
        #expect(isWritten == (sector < records), "sector \(sector) at \(point)")
        #expect(isWritten || bytes.allSatisfy { $0 == 0 })
      }
    }
    #expect(try folder.read("image") == folder.read("disk"))
  }

  @Test(
    "invalid command lines",
    arguments: [
      Refusal("disk-log", "<file>", "See: swiftlet disk-log --help"),
      Refusal("disk-log missing", "No such file or directory", "Record one: swiftlet run"),
      Refusal("disk-log other", "it is not a disk log", "Name the file"),
      Refusal("disk-log empty.log --at 0", "--at and --output need each other", "Use both"),
      Refusal("disk-log empty.log --output image", "--at and --output need each other", "Use both"),
      Refusal("disk-log empty.log --at 1 --output image", "it has 0", "Use --at 0 or less."),
      Refusal("disk-log empty.log --at=-1 --output image", "entries count from 0", "Use --at 0."),
      Refusal("disk-log empty.log --at 0 --output image --survivors some", "it is unknown", "a seed such as 7"),
      Refusal("disk-log empty.log --at 0 --output nowhere/image", "No such file", "a writable directory"),
      Refusal("disk-log empty.log --at 0 --output empty.log", "the replay reads from it", "Name another file."),
      Refusal("disk-log empty.log --at 0 --output image --base missing", "there is no such file", "truncate -s"),
      Refusal("disk-log empty.log --at 0 --output image --base other", "it has 2 sectors, the log's 16", "--base"),
    ])
  func refusals(refusal: Refusal) throws {
    let folder = try TestFolder()
    try folder.write(Array("SWDSKLOG".utf8) + [1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0], to: "empty.log")
    try folder.makeDisk("other", size: 1024)
    try refusal.check(in: folder)
  }

  @Test(
    "log files that a run must not or cannot write", .needsKVM,
    arguments: [
      Refusal("file=disk,log=", "log= is missing", "Add log=…."),
      Refusal("file=disk,log=nowhere/log", "No such file or directory", "a writable directory"),
      Refusal("file=disk,log=disk", "another run uses it", "Name another file with log=."),
      Refusal("file=disk,log=other", "the file exists and is not a disk log", "Name a new file with log=."),
      Refusal("file=disk,log=new --net pcap=one,model=ne2k", "model=ne2k is unknown", "e1000, virtio"),
      Refusal("file=disk,log=new --disk file=other,log=new", "another run uses it", "Name another file"),
    ])
  func runs(refusal: Refusal) throws {
    let folder = try TestFolder()
    try folder.makeDisk("disk")
    try folder.makeDisk("other")
    var refusal = refusal
    refusal.arguments = ["run", "--kernel", "test-guest", "--append", "program=hello", "--disk"] + refusal.arguments
    try refusal.check(in: folder)
  }
}
