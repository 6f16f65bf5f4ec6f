import ArgumentParser
import Backends
import Failures

/// `swiftlet disk-log`: what a disk's log holds, and the disk as a loss of power would have left it.
struct DiskLogCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disk-log",
    abstract: "Read a disk's log; make the disk as a loss of power would have left it.",
    discussion: """
      The log is what a run with --disk file=F,log=FILE wrote. Without --at its contents are summed up.

        cp disk.img before.img
        swiftlet run --kernel test-guest --disk file=disk.img,log=disk.log \\
          --append 'program=disk device=virtio-blk operation=write block=4096'
        swiftlet disk-log disk.log
        swiftlet disk-log disk.log --base before.img --at 1000 --survivors 7 --output crashed.img

      The medium holds what a flush or a durable write made sure of within the first N entries. Of what else was \
      submitted it holds none, all, or some sectors that the seed picks.
      """)

  @Argument(help: "The log.")
  var file: String

  @Option(help: ArgumentHelp("Lose power when this many entries of the log have happened.", valueName: "n"))
  var at: Int?

  @Option(help: ArgumentHelp("Of what was not durable: none, all, or a seed for some.", valueName: "none|all|seed"))
  var survivors = "none"

  @Option(help: ArgumentHelp("The disk as it was before the run; zeroes unless given.", valueName: "image"))
  var base: String?

  @Option(help: ArgumentHelp("Where to write the disk.", valueName: "image"))
  var output: String?

  func run() throws {
    let log = try StorageLogReader(path: file)
    switch (at, output) {
    case (nil, nil): print(try StorageLogSummary(log))
    case (let at?, let output?): try write(log, at: at, to: output)
    default:
      throw Failure(
        "read the disk log \(file)", cause: "--at and --output go together", fix: "Give both: --at 0 --output IMAGE")
    }
  }

  private func write(_ log: StorageLogReader, at point: Int, to output: String) throws {
    let survivors = try chosenSurvivors()
    guard point >= 0 else {
      throw Failure("go to entry \(point) of the disk log \(file)", cause: "they count from 0", fix: "Use --at 0.")
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
          "read --survivors \(survivors)", cause: "it is not known", fix: "Use none, all or a seed like 7.")
      }
      return .random(seed: seed)
    }
  }
}

/// What a whole log holds, in words.
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
      // A hostile log could claim more than there is; the file's own size bounds the sum.
      written += entry.length
      durable += entry.isDurable ? 1 : 0
    }
    let lines = [
      "\(log.sectorCount) sectors, \(log.count) entries",
      "writes \(counts[.write] ?? 0), of them durable \(durable); bytes \(written)",
      "flushes \(counts[.flush] ?? 0), discards \(counts[.discard] ?? 0), zeroed ranges \(counts[.writeZeroes] ?? 0)",
      "failed \(failed), under way at the end \(log.underWay)",
    ]
    let tail = log.cutOff > 0 ? ["the last entry is cut off: \(log.cutOff) bytes"] : []
    description = (lines + tail).joined(separator: "\n")
  }
}
