import Failures
import Glibc
import Threads

/// A test guest under a VMM in a process of its own. The guest's COM1 is a socket of this process.
final class MachineProcess: Sendable {
  private static let patience = 60.0

  /// The command that runs, for the report.
  let commandLine: String
  let console = GuestConsole()
  /// QEMU's monitor; nil under another VMM.
  private let monitor: QEMUMonitor?
  private let child: ChildProcess
  private let serial: Int32
  private let reader: BackgroundThread
  /// What the names of the VMM's vCPU threads begin with.
  private let vCPUThreads: String

  /// How a VMM gets its guest's COM1, the descriptors from 3 on, and a monitor.
  enum Connection {
    /// COM1 at descriptor 3, the monitor at 4, and then further descriptors.
    case qemu
    /// COM1 at the standard streams.
    case swiftlet
  }

  /// Starts a VMM, and waits for its guest's first event.
  ///
  /// - Parameters:
  ///   - descriptors: those that the VMM gets. The caller closes its own.
  ///   - event: the event to wait for: `ready` with `wait=1`, or `serving`.
  init(_ command: [String], _ connection: Connection, descriptors: [Int32], until event: String) throws {
    commandLine = command.map { $0.contains(" ") ? "'\($0)'" : $0 }.joined(separator: " ")
    let serial = try SocketPair()
    switch connection {
    case .qemu:
      let qmp = try SocketPair()
      child = try ChildProcess(command, descriptors: [serial.theirs, qmp.theirs] + descriptors)
      // Or we would not see that QEMU has closed its ends.
      qmp.closeTheirs()
      monitor = QEMUMonitor(qmp.takeOurs())
      vCPUThreads = "CPU "
    case .swiftlet:
      child = try ChildProcess(command, descriptors: descriptors, socket: serial.theirs)
      monitor = nil
      vCPUThreads = "vcpu"
    }
    serial.closeTheirs()
    self.serial = serial.takeOurs()
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
    monitor?.begin()
    reader.start()
    do {
      _ = try console.expect(event, within: Self.patience)
    } catch {
      let message = child.message
      close()
      guard let message else { throw error }
      throw Failure("run \(command[0])", cause: message)
    }
  }

  var processIdentifier: Int32 { child.identifier }
  /// Processor time so far, in nanoseconds.
  var vCPUTime: UInt64 { child.cpuTime { $0.hasPrefix(vCPUThreads) } }
  var ioTime: UInt64 { child.cpuTime { !$0.hasPrefix(vCPUThreads) } }
  /// Exits so far as KVM counts them; nil if the VMM does not say.
  var kernelExits: UInt64? { monitor?.kernelExits }

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

extension MachineProcess {
  /// Boots the guest at the path `kernel` under QEMU.
  ///
  /// - Parameters:
  ///   - arguments: further arguments of QEMU: memory, disks, NICs.
  ///   - descriptors: those that QEMU gets, from descriptor 5 on.
  convenience init(
    _ program: QEMUProgram, kernel: String, commandLine: String, arguments: [String], descriptors: [Int32] = [],
    until event: String = "ready"
  ) throws {
    try self.init(
      [program.path] + QEMUProgram.machine + ["-kernel", kernel, "-append", commandLine] + arguments, .qemu,
      descriptors: descriptors, until: event)
  }

  /// Boots this program's test guest by `swiftlet run`.
  ///
  /// - Parameters:
  ///   - executable: the path of `swiftlet`.
  ///   - arguments: further arguments of the command: memory, disks, NICs.
  ///   - descriptors: those that swiftlet gets, from descriptor 3 on.
  convenience init(
    swiftlet executable: String, commandLine: String, arguments: [String], descriptors: [Int32] = [],
    until event: String = "ready"
  ) throws {
    try self.init(
      [executable, "run", "--kernel", "test-guest", "--append", commandLine] + arguments, .swiftlet,
      descriptors: descriptors, until: event)
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
