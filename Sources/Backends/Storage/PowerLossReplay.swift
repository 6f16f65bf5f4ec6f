import CLinux
import Failures
import Glibc

/// The selection of changes that a power loss leaves on the medium although they were not durable.
public enum PowerLossSurvivors: Sendable, Equatable {
  case none, all
  /// The seed decides for each sector of each change, so a write may be torn at any sector.
  case random(seed: UInt64)

  /// Whether change `number` is on the medium in `sector`.
  func keep(number: UInt64, sector: UInt64) -> Bool {
    switch self {
    case .none: return false
    case .all: return true
    case .random(let seed):
      // splitmix64 over all three.
      var hash = seed &+ number &* 0x9E37_79B9_7F4A_7C15 &+ sector &* 0xD1B5_4A32_D192_ED03
      hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
      hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
      return (hash ^ hash >> 31) & 1 == 1
    }
  }
}

/// Makes images of a medium after a power loss at given points of a storage log.
///
/// One pass over the log serves all points. Durable changes go to an unlinked image in the directory for temporary
/// files. The image of a point is a copy of it, with the surviving changes applied. Images are sparse.
public final class PowerLossReplay {
  private let log: StorageLogReader
  private let base: DiskImage?

  /// - Parameter base: an image of the disk as it was when the log began; nil for zeroes.
  /// - Throws: `Failure` if `base` cannot be read or has another size.
  public init(_ log: StorageLogReader, base: String? = nil) throws(Failure) {
    self.log = log
    self.base = try base.map { (path) throws(Failure) in try DiskImage(reading: path, sectorCount: log.sectorCount) }
  }

  /// Calls `body` for each of `points`, in ascending order. A point is the number of log entries before the power loss.
  ///
  /// - Throws: `Failure` if the log has fewer entries, or if the log or an image cannot be read or written. Rethrows
  ///   errors of `body`.
  public func images(
    at points: [Int], survivors: PowerLossSurvivors, _ body: (_ point: Int, _ image: PowerLossImage) throws -> Void
  ) throws {
    let durable = try DiskImage(temporaryOf: log.sectorCount)
    if let base { try durable.copy(base) }
    var pending = PendingWrites()
    log.rewind()
    for point in points.sorted() {
      while log.count < point {
        guard let entry = try log.next() else {
          throw Failure(
            "go to entry \(point) of the disk log \(log.path)", cause: "it has \(log.count) entries",
            fix: "Use --at \(log.count) or less.")
        }
        for range in pending.apply(entry, at: log.count) { try durable.apply(range, from: log) }
      }
      try body(
        point,
        PowerLossImage(log: log, base: base, durable: durable, pending: pending.ranges, survivors: survivors))
    }
  }
}

/// The medium after a power loss at one point. Valid only within the closure that receives it.
public struct PowerLossImage {
  let log: StorageLogReader
  let base: DiskImage?
  let durable: DiskImage
  let pending: [PendingWrites.Range]
  let survivors: PowerLossSurvivors

  /// Writes the medium to a file at `path`, which may replace an older image.
  ///
  /// - Throws: `Failure` if the file cannot be written, is in use, or is the log or the base image.
  public func write(to path: String) throws(Failure) {
    let image = try DiskImage(
      writing: path, sectorCount: log.sectorCount, sparing: [log.descriptor] + (base.map { [$0.descriptor] } ?? []))
    do throws(Failure) {
      try image.copy(durable)
      guard survivors != .none else { return }
      for range in pending { try applySurvivors(of: range, to: image) }
    } catch {
      image.removeIfMade()
      throw error
    }
  }

  /// Applies the runs of sectors in `range` that survive.
  private func applySurvivors(of range: PendingWrites.Range, to image: DiskImage) throws(Failure) {
    if survivors == .all { return try image.apply(range, from: log) }
    var start: UInt64?
    for place in stride(from: range.offset, through: range.end, by: 512) {
      let survives = place < range.end && survivors.keep(number: range.number, sector: place / 512)
      if survives {
        start = start ?? place
      } else if let from = start {
        if let run = range.part(from, place) { try image.apply(run, from: log) }
        start = nil
      }
    }
  }
}
