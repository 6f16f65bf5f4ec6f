import CLinux
import Failures
import Glibc
import Machine

/// The disk experiments of the paper: block sizes (Fig. 4), and bytes that reach the device (section 4.2).
extension DiskBench {
  /// Writes blocks of several sizes on the host, by FV and by PV.
  ///
  /// - Parameter with2009: the block size at which FV and PV are also measured as KVM 84 would have run them.
  func sweep(_ blocks: [Int], with2009 block: Int?) -> [Point] {
    blocks.map { size in
      var point = writes(.diskWrite, Load(.write, block: size))
      if size == block { point.sides += sides2009(size) }
      return point
    }
  }

  private func sides2009(_ block: Int) -> [Point.Side] {
    let profile = Profile.year2009
    let load = Load(.write, block: block, interrupts: profile.interrupts)
    var parameters = parameters(load)
    parameters.profile = profile.rawValue
    parameters.disabled = ["polling"] + profile.diskSwitches.map(\.rawValue)
    return Self.devices.map { mode, device, model in
      Point.Side(mode: mode, device: device, vmm: "swiftlet", parameters: parameters) { [self] in
        try guest(load, model, disabled: Set(profile.diskSwitches))
      }
    }
  }

  /// Writes once over a large file, and counts what reaches the device under it.
  func amplification() throws(Failure) -> Point {
    let device = try BlockDeviceWrites(under: file)
    var point = writes(.diskAmplification, Load(.write, block: 65_536))
    point.unit = Record.amplification
    point.sides = point.sides.map { side in
      var counted = side
      counted.make = { CountedWrites(try side.make(), device) }
      return counted
    }
    return point
  }

  private func writes(_ experiment: Record.Experiment, _ load: Load) -> Point {
    let guests = Self.devices.map { mode, device, model in
      Point.Side(mode: mode, device: device, vmm: "swiftlet") { [self] in try guest(load, model) }
    }
    return Point(
      experiment: experiment, parameters: parameters(load), unit: load.unit, sides: [host(load)] + guests,
      title: "\(experiment.rawValue), \(load.block) bytes, cache=\(cache)")
  }
}

/// Bytes written to the block device under a file, by all programs (Documentation/block/stat.rst).
struct BlockDeviceWrites {
  private let path: String
  private let file: UnnamedFile

  init(under file: UnnamedFile) throws(Failure) {
    self.file = file
    var status = stat()
    try systemCall("look for the disk under a file") { fstat(file.descriptor, &status) }
    path = "/sys/dev/block/\(clinux_device_major(status.st_dev)):\(clinux_device_minor(status.st_dev))/stat"
    guard Self.count(path) != nil else {
      throw Failure(
        "count the bytes that reach the disk", cause: "the temporary folder is not on a block device of this host",
        fix: "Name a folder on a disk with TMPDIR=FOLDER.")
    }
  }

  /// Bytes so far.
  var count: UInt64 { Self.count(path) ?? 0 }

  /// Writes the file system's part of the page cache to the device.
  func sync() { _ = clinux_sync_file_system(file.descriptor) }

  private static func count(_ path: String) -> UInt64? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 512)
    let length = max(0, read(descriptor, &bytes, bytes.count))
    return count(in: String(decoding: bytes[..<length], as: UTF8.self))
  }

  /// The seventh number of a device's `stat`, which counts sectors of 512 bytes.
  static func count(in text: String) -> UInt64? {
    let fields = text.split { $0 == " " || $0 == "\n" }
    return fields.count > 6 ? UInt64(fields[6]).map { $0 &* 512 } : nil
  }
}

/// A session whose samples also have the bytes that reached the device.
private final class CountedWrites: Sampled {
  private let session: any Sampled
  private let device: BlockDeviceWrites

  init(_ session: any Sampled, _ device: BlockDeviceWrites) {
    self.session = session
    self.device = device
  }

  var interrupters: [@Sendable () -> Void] { session.interrupters }

  func sample() throws -> MeasuredSample {
    device.sync()
    let before = device.count
    var sample = try session.sample()
    let flushed = device.count
    device.sync()
    sample.deviceBytes = .init(atFlush: flushed &- before, afterSync: device.count &- before)
    return sample
  }

  func close() { session.close() }
}
