import Failures
import Glibc
import Threads

/// A test guest under QEMU, sampled on demand: the same image and command line as a `MachineSession`'s.
///
/// QEMU's own counts are not known, so a sample has no counters; the exits that KVM counts come from QEMU's monitor.
package final class QEMUSession: Sampled, Sendable {
  /// Exits of the span that belong to the measuring: asking the UART and writing ETX.
  private static let ownExits: UInt64 = 2
  private static let patience = 60.0

  private struct Snapshot {
    var kernelExits: UInt64?
    var vCPUTime: UInt64 = 0
    var ioTime: UInt64 = 0
    var steal = 0.0
  }

  /// The command that runs, for the report.
  package let commandLine: String?
  private let child: ChildProcess
  private let monitor: QEMUMonitor
  private let console = GuestConsole()
  private let serial: Int32
  private let reader: BackgroundThread
  private let marks = Guarded<(begin: Snapshot?, end: Snapshot?)>(.leaf, (nil, nil))

  /// Boots a guest whose program is paced by the host (`wait=1`), and waits until it is ready.
  ///
  /// - Parameters:
  ///   - kernel: the path of the test guest.
  ///   - arguments: further arguments of QEMU: memory, disks, NICs.
  package init(
    _ program: QEMUProgram, kernel: String, commandLine: String, arguments: [String]
  ) throws {
    let command =
      [program.path] + QEMUProgram.machine + ["-kernel", kernel, "-append", commandLine] + arguments
    self.commandLine = command.map { $0.contains(" ") ? "'\($0)'" : $0 }.joined(separator: " ")
    let serial = try SocketPair()
    let qmp = try SocketPair()
    child = try ChildProcess(command, descriptors: [serial.theirs, qmp.theirs])
    // Or we would not see that QEMU has closed its ends.
    serial.closeTheirs()
    qmp.closeTheirs()
    self.serial = serial.takeOurs()
    monitor = QEMUMonitor(qmp.takeOurs())
    let (descriptor, console) = (self.serial, console)
    reader = BackgroundThread {
      var bytes = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = recv(descriptor, &bytes, bytes.count, 0)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { break }
        for byte in bytes[..<count] { console.transmit(byte) }
      }
      console.close()
    }
    console.onMark { [weak self] isBegin in
      guard let self else { return }
      let snapshot = self.snapshot()
      self.marks.withLock { if isBegin { $0.begin = snapshot } else { $0.end = snapshot } }
    }
    monitor.begin()
    reader.start()
    do {
      _ = try console.expect("ready", within: Self.patience)
    } catch {
      let message = child.message
      close()
      guard let message else { throw error }
      throw Failure("run \(program.path)", cause: message)
    }
  }

  package var processIdentifier: Int32 { child.identifier }

  private func snapshot() -> Snapshot {
    Snapshot(
      kernelExits: monitor.kernelExits, vCPUTime: child.cpuTime { $0.hasPrefix("CPU ") },
      ioTime: child.cpuTime { !$0.hasPrefix("CPU ") }, steal: HostActivity.steal)
  }

  package func sample() throws -> MeasuredSample {
    marks.withLock { $0 = (nil, nil) }
    let load = HostActivity.load
    var go: UInt8 = 0x67
    _ = send(serial, &go, 1, Int32(MSG_NOSIGNAL))
    let event = try console.expect("sample", within: Self.patience)
    let (begin, end) = marks.withLock { $0 }
    guard let begin, let end else { throw Failure("sample the guest", cause: "it did not mark its span") }
    var sample = MeasuredSample(event: event)
    if let first = begin.kernelExits, let last = end.kernelExits {
      sample.kernelExits = (last &- first) &- min(Self.ownExits, last &- first)
    }
    sample.vCPUSeconds = Double(end.vCPUTime &- begin.vCPUTime) / 1e9
    sample.ioSeconds = Double(end.ioTime &- begin.ioTime) / 1e9
    sample.stealSeconds = end.steal - begin.steal
    sample.load = load
    return sample
  }

  package func close() {
    child.end()
    reader.join()
    Glibc.close(serial)
  }
}

/// Two connected stream sockets: ours, and the one that a child gets.
private final class SocketPair {
  private var ours: Int32
  private(set) var theirs: Int32

  init() throws(Failure) {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    try systemCall("connect to a program") { socketpair(AF_UNIX, kind, 0, &ends) }
    (ours, theirs) = (ends[0], ends[1])
  }

  deinit {
    if ours >= 0 { close(ours) }
    closeTheirs()
  }

  func closeTheirs() {
    if theirs >= 0 { close(theirs) }
    theirs = -1
  }

  /// Our end; the caller closes it.
  func takeOurs() -> Int32 {
    defer { ours = -1 }
    return ours
  }
}
