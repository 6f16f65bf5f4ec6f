import Backends
import Boot
import EventLoop
import Failures
import Foundation
import GuestImages
import KVM
import Machine

/// The disk experiments (Fig. 4 of the paper): IDE and virtio-blk, and the host itself, on one storage object.
final class DiskBench {
  private let options: ComparisonOptions
  private let system: System
  private let loop: EventLoop
  private let storage: FileStorage
  private let cache: StorageCacheMode

  init(_ options: ComparisonOptions, system: System, loop: EventLoop) throws {
    self.options = options
    self.system = system
    self.loop = loop
    let path = options.directory + "/swiftlet-compare-\(getpid()).img"
    guard FileManager.default.createFile(atPath: path, contents: nil),
      truncate(path, off_t(options.diskSpan)) == 0
    else {
      throw Failure(
        "make a disk of \(options.diskSpan >> 20) MiB at \(path)", cause: "the folder cannot be written",
        fix: "Name another with TMPDIR=FOLDER.")
    }
    // The name goes at once, so that nothing is left behind however the run ends.
    defer { unlink(path) }
    do {
      storage = try FileStorage(path: path, cache: .none, isReadOnly: false, loop: loop, counters: loop.counters)
      cache = .none
    } catch {
      // A file system without O_DIRECT: the page cache then, and the rows say so.
      storage = try FileStorage(path: path, cache: .writeback, isReadOnly: false, loop: loop, counters: loop.counters)
      cache = .writeback
    }
  }

  func close() { storage.close() }

  var points: [Point] {
    var points: [Point] = []
    for operation in [HostDisk.Operation.write, .read] {
      for block in [4096, 65_536, 1 << 20] { points.append(point(operation, block: block, depth: 1)) }
    }
    for depth in [1, 32] { points.append(point(.randomRead, block: 4096, depth: depth)) }
    return points
  }

  private func point(_ operation: HostDisk.Operation, block: Int, depth: Int) -> Point {
    var parameters = Record.Parameters()
    parameters.blockBytes = block
    parameters.queueDepth = depth
    parameters.interrupts = "irq"
    parameters.driverStyle = "lean"
    parameters.vCPUs = 1
    parameters.backend = "file"
    parameters.cache = "\(cache)"
    let (experiment, name): (Record.Experiment, String) =
      switch operation {
      case .write: (.diskWrite, "write")
      case .read: (.diskRead, "read")
      case .randomRead: (.diskRandomRead, "random-read")
      }
    let duration = options.duration
    let line =
      "program=disk wait=1 samples=1000 operation=\(name) block=\(block) depth=\(depth) interrupts=irq style=lean "
      + "span=\(options.diskSpan) duration-ms=\(duration / 1_000_000) device="
    func guest(_ model: MachineConfiguration.Disk.Model, _ device: String) throws -> any Sampled {
      var configuration = MachineConfiguration(kernel: BootFile(GuestImage.bytes, name: "test-guest"))
      configuration.commandLine = line + device
      configuration.disks = [.init(storage: storage, model: model, serial: "COMPARE")]
      return try MachineSession(configuration, system: system, loop: loop)
    }
    return Point(
      experiment: experiment, parameters: parameters,
      unit: operation == .randomRead ? "operations/s" : "bytes/s",
      sides: [
        Point.Side(mode: .host, device: .none, vmm: "none") { [self] in
          try HostDisk(
            storage: storage, loop: loop, operation: operation, block: block, depth: depth, span: options.diskSpan,
            duration: duration)
        },
        Point.Side(mode: .fullVirtualization, device: .ide, vmm: "swiftlet") { try guest(.ide, "ide") },
        Point.Side(mode: .paravirtualization, device: .virtioBlock, vmm: "swiftlet") {
          try guest(.virtio, "virtio-blk")
        },
      ],
      title: "disk \(name), \(block) bytes, depth \(depth)")
  }
}
