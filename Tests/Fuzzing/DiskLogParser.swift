import Backends
import Failures

/// Reads a disk log of any bytes to its end, and makes the images of a power loss if its disk is small.
final class DiskLogParser {
  private let log: FileInMemory
  private let image: FileInMemory
  /// Larger disks make larger sparse files, and no other code.
  private static let sectorLimit: UInt64 = 4096

  init() throws {
    log = try FileInMemory()
    image = try FileInMemory()
  }

  func parse(_ bytes: UnsafeRawBufferPointer) {
    log.replace(by: bytes)
    do {
      let reader = try StorageLogReader(path: log.path)
      defer { check(reader.count * 32 <= bytes.count, "more entries than bytes") }
      while let entry = try reader.next() {
        check(entry.offset % 512 == 0, "an entry has a part of a sector")
        let hasData = entry.kind == .submitted && entry.operation == .write
        let end = hasData ? entry.dataPosition + entry.length : 0
        check(end <= UInt64(bytes.count), "an entry's data is behind the end of the log")
      }
      check(reader.cutOff <= UInt64(bytes.count), "more bytes are missing than there are")
      let count = reader.count
      guard count > 0, reader.sectorCount <= Self.sectorLimit else { return }
      let replay = try PowerLossReplay(reader)
      let survivors: [PowerLossSurvivors] = [.none, .all, .random(seed: UInt64(count))]
      try replay.images(at: [count / 2, count], survivors: survivors[bytes.count % 3]) { _, loss in
        try loss.write(to: image.path)
        check(UInt64(image.contents.count) == reader.sectorCount * 512, "the image has another size")
      }
    } catch let failure as Failure { ImageParser.require(failure) } catch { fatalError("\(error)") }
  }
}
