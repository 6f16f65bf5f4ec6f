import Failures
import Glibc
import Threads

/// A test guest under QEMU.
final class QEMUMachine: Sendable {
  private static let patience = 60.0

  /// The command that runs, for the report.
  let commandLine: String
  let console = GuestConsole()
  let monitor: QEMUMonitor
  private let child: ChildProcess
  private let serial: Int32
  private let reader: BackgroundThread

  /// Boots the guest at the path `kernel`, and waits for its first event.
  ///
  /// - Parameters:
  ///   - arguments: further arguments of QEMU: memory, disks, NICs.
  ///   - descriptors: those that QEMU gets, from descriptor 5 on. The caller closes its own.
  ///   - event: the event to wait for: `ready` with `wait=1`, or `serving`.
  init(
    _ program: QEMUProgram, kernel: String, commandLine: String, arguments: [String], descriptors: [Int32] = [],
    until event: String = "ready"
  ) throws {
    let command =
      [program.path] + QEMUProgram.machine + ["-kernel", kernel, "-append", commandLine] + arguments
    self.commandLine = command.map { $0.contains(" ") ? "'\($0)'" : $0 }.joined(separator: " ")
    let serial = try SocketPair()
    let qmp = try SocketPair()
    child = try ChildProcess(command, descriptors: [serial.theirs, qmp.theirs] + descriptors)
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
    monitor.begin()
    reader.start()
    do {
      _ = try console.expect(event, within: Self.patience)
    } catch {
      let message = child.message
      close()
      guard let message else { throw error }
      throw Failure("run \(program.path)", cause: message)
    }
  }

  var processIdentifier: Int32 { child.identifier }
  /// Processor time so far, in nanoseconds.
  var vCPUTime: UInt64 { child.cpuTime { $0.hasPrefix("CPU ") } }
  var ioTime: UInt64 { child.cpuTime { !$0.hasPrefix("CPU ") } }

  /// Lets the guest take the next sample.
  func go() {
    var byte: UInt8 = 0x67
    _ = send(serial, &byte, 1, Int32(MSG_NOSIGNAL))
  }

  func close() {
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
