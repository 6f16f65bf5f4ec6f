import ArgumentParser
import Backends
import Failures

/// `swiftlet disk-log`: summarizes a disk's log, or writes the disk as a power loss would have left it.
struct DiskLogCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disk-log",
    abstract: "Read a disk's log, or write the disk as a power loss would have left it.",
    discussion: """
      A run with --disk file=F,log=FILE writes the log. Without --at, the command prints a summary.

        cp disk.img before.img
        swiftlet run --kernel test-guest --disk file=disk.img,log=disk.log \\
          --append 'program=disk device=virtio-blk operation=write block=4096'
        swiftlet disk-log disk.log
        swiftlet disk-log disk.log --base before.img --at 1000 --survivors 7 --output crashed.img

      The new image has all changes that a flush or a durable write made durable within the first N entries. Of the \
      other submitted changes it has none, all, or those sectors that the seed selects.
      """)

  @Argument(help: "The log.")
  var file: String

  @Option(help: ArgumentHelp("Lose power after this many entries of the log.", valueName: "n"))
  var at: Int?

  @Option(help: ArgumentHelp("Keep these of the changes that were not durable.", valueName: "none|all|seed"))
  var survivors = "none"

  @Option(help: ArgumentHelp("The disk before the run; default: zeroes.", valueName: "image"))
  var base: String?

  @Option(help: ArgumentHelp("The image to write.", valueName: "image"))
  var output: String?

  func run() throws {
    let log = try StorageLogReader(path: file)
    switch (at, output) {
    case (nil, nil): print(try StorageLogSummary(log))
    case (let at?, let output?): try write(log, at: at, to: output)
    default:
      throw Failure(
        "read the disk log \(file)", cause: "--at and --output need each other", fix: "Use both: --at 0 --output IMAGE")
    }
  }

  private func write(_ log: StorageLogReader, at point: Int, to output: String) throws {
    let survivors = try chosenSurvivors()
    guard point >= 0 else {
      throw Failure("go to entry \(point) of the disk log \(file)", cause: "entries count from 0", fix: "Use --at 0.")
    }
    try PowerLossReplay(log, base: base).images(at: [point], survivors: survivors) { _, image in
      try image.write(to: output)
    }
  }

  private func chosenSurvivors() throws(Failure) -> PowerLossSurvivors {
    switch survivors {
    case "none": return .none
    case "all": return .all
    default:
      guard let seed = UInt64(survivors) else {
        throw Failure(
          "read --survivors \(survivors)", cause: "it is unknown", fix: "Use none, all or a seed such as 7.")
      }
      return .random(seed: seed)
    }
  }
}

/// A summary of a whole log, as text.
struct StorageLogSummary: CustomStringConvertible {
  private(set) var description: String

  init(_ log: StorageLogReader) throws(Failure) {
    var counts: [StorageLogEntry.Operation: UInt64] = [:]
    var written: UInt64 = 0
    var durable: UInt64 = 0
    var failed = 0
    while let entry = try log.next() {
      if entry.kind == .completed {
        failed += entry.result == 0 ? 0 : 1
        continue
      }
      counts[entry.operation, default: 0] += 1
      guard entry.operation == .write else { continue }
      // The sum cannot overflow: the reader checks each length against the file's size.
      written += entry.length
      durable += entry.isDurable ? 1 : 0
    }
    let lines = [
      "\(log.sectorCount) sectors, \(log.count) entries",
      "writes \(counts[.write] ?? 0), durable writes \(durable); bytes \(written)",
      "flushes \(counts[.flush] ?? 0), discards \(counts[.discard] ?? 0), zeroed ranges \(counts[.writeZeroes] ?? 0)",
      "failed \(failed), in flight at the end \(log.underWay)",
    ]
    let tail = log.cutOff > 0 ? ["the last entry is cut off: \(log.cutOff) bytes"] : []
    description = (lines + tail).joined(separator: "\n")
  }
}
