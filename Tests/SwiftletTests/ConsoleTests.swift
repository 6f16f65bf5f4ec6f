import CLinux
import Foundation
import TestSupport
import Testing

/// The hash of the guest's `program=console`.
private func hash(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(0) { $0 &* 31 &+ UInt64($1) } }

private func isIntact(_ output: String, _ bytes: [UInt8]) -> Bool {
  output.contains("{\"event\":\"console\",\"received\":\(bytes.count),\"hash\":\(hash(bytes))}")
}

/// Bytes that cover all values and never repeat the same 4 KiB.
private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) } }

/// The built executable with standard descriptors that the test chooses.
private final class ConsoleRun {
  let process = Process()

  init(_ append: String, _ more: [String] = [], input: Any, output: Any, errors: Any = FileHandle.nullDevice) throws {
    // Other suites make this process ignore SIGPIPE, and children inherit that.
    process.executableURL = URL(filePath: "/usr/bin/env")
    let program = ["--default-signal=PIPE", BuiltProduct.swiftlet.path]
    process.arguments = program + ["run", "--kernel", "test-guest", "--append", append] + more
    // Swift's crash reporter would prompt at the terminal, and ThreadSanitizer's would change the status.
    let quiet = ["SWIFT_BACKTRACE": "enable=no", "TSAN_OPTIONS": "handle_segv=0:handle_sigbus=0:handle_sigill=0"]
    process.environment = ProcessInfo.processInfo.environment.merging(quiet) { $1 }
    process.standardInput = input
    process.standardOutput = output
    process.standardError = errors
    try process.run()
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  /// Waits for the status. A run that does not end within a minute fails the test.
  func status() -> Int32 {
    for _ in 0..<12_000 where process.isRunning { usleep(5000) }
    if process.isRunning {
      Issue.record("the run did not end")
      kill(process.processIdentifier, SIGKILL)
    }
    process.waitUntilExit()
    return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
  }
}

@Suite("The guest's console loses no byte and blocks no thread", .serialized, .needsKVM, .timeLimit(.minutes(10)))
struct ConsoleTests {
  @Test("a megabyte that is piped in before the guest runs arrives whole")
  func pipedInput() throws {
    let bytes = pattern(1 << 20)
    let (input, output) = (Pipe(), Pipe())
    // The time-out ends a guest that waits for lost bytes.
    let run = try ConsoleRun(
      "program=console receive=\(bytes.count)", ["--timeout", "150"], input: input, output: output)
    let writer = Thread {
      try? input.fileHandleForWriting.write(contentsOf: Data(bytes))
      try? input.fileHandleForWriting.close()
    }
    writer.start()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(run.status() == 0)
    #expect(isIntact(text, bytes))
  }

  @Test("standard input may be a file, and the guest's output goes to a file completely")
  func files() throws {
    let folder = try TestFolder()
    let bytes = pattern(200_000)
    try folder.write(bytes, to: "input")
    try folder.write([], to: "output")
    let run = try ConsoleRun(
      "program=console receive=\(bytes.count) send=30000",
      input: FileHandle(forReadingFrom: URL(filePath: folder["input"])),
      output: FileHandle(forWritingTo: URL(filePath: folder["output"])))
    #expect(run.status() == 0)
    let text = String(decoding: try folder.read("output"), as: UTF8.self)
    #expect(isIntact(text, bytes))
    let sent = (0..<30_000).map { (index: Int) -> UInt8 in UInt8(0x20 + (index * 7 + index / 95) % 95) }
    #expect(text.utf8.suffix(30_000).elementsEqual(sent))
  }

  /// A pipe of one page. It is full after its first write, since the kernel does not append to a partly filled page.
  private func makeSmallPipe() -> Pipe {
    let pipe = Pipe()
    // F_SETPIPE_SZ
    _ = fcntl(pipe.fileHandleForReading.fileDescriptor, 1031, 4096)
    return pipe
  }

  /// Whether `pipe` has something to read.
  private func isFull(_ pipe: Pipe) -> Bool {
    var ready = pollfd(fd: pipe.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
    return poll(&ready, 1, 0) == 1
  }

  @Test("SIGTERM ends the run cleanly, even if the reader of its output has stopped")
  func stoppedReader() throws {
    let output = makeSmallPipe()
    let run = try ConsoleRun("program=console send=10000000", input: FileHandle.nullDevice, output: output)
    for _ in 0..<4000 where !isFull(output) { usleep(5000) }
    #expect(isFull(output))
    // Lets the console's buffer fill.
    usleep(300_000)
    #expect(run.process.isRunning)
    run.process.terminate()
    #expect(run.status() == 0)
  }

  @Test("--timeout ends the run, even if the reader of its output has stopped")
  func stoppedReaderTimeout() throws {
    let output = makeSmallPipe()
    let run = try ConsoleRun(
      "program=console send=10000000", ["--timeout", "2"], input: FileHandle.nullDevice, output: output)
    #expect(run.status() == 124)
    #expect(isFull(output))
  }

  @Test("a reader that closes its end stops the run cleanly, with status 1 and the reason")
  func closedReader() throws {
    let (output, errors) = (Pipe(), Pipe())
    let run = try ConsoleRun(
      "program=console send=10000000", input: FileHandle.nullDevice, output: output, errors: errors)
    _ = output.fileHandleForReading.readData(ofLength: 10)
    try output.fileHandleForReading.close()
    #expect(run.status() == 1)
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(text == "swiftlet: write the guest's output to standard output: its reader has gone.\n")
  }

  @Test(
    "a full disk behind --serial or pcap= is an error with status 1",
    arguments: ["--serial file=/dev/full", "--net pcap=/dev/full"])
  func fullDisk(options: String) throws {
    let isSerial = options.contains("serial")
    let result = try swiftlet(
      ["run", "--kernel", "test-guest", "--timeout", "1", "--append"]
        + [isSerial ? "program=hello" : "program=net device=virtio-net operation=send peer=1099511627778"]
        + options.split(separator: " ").map(String.init))
    #expect(result.status == (isSerial ? 1 : 124))
    #expect(result.errors.contains("/dev/full: No space left on device"))
  }
}

@Suite("The console at a terminal", .serialized, .needsKVM, .timeLimit(.minutes(10)))
struct TerminalConsoleTests {
  @Test("the terminal is raw while the guest runs, and restored afterwards")
  func raw() throws {
    let terminal = try PseudoTerminal()
    let before = terminal.settings
    let run = try ConsoleRun("program=console receive=5", input: terminal.guest, output: terminal.guest)
    terminal.read(until: "\"ready\",\"receive\":")
    #expect(terminal.settings.c_lflag & tcflag_t(ECHO | ICANON | ISIG | IEXTEN) == 0)
    #expect(terminal.settings.c_iflag & tcflag_t(ICRNL | IXON) == 0)
    // Tab, Ctrl-C, Ctrl-S, Return and Ctrl-D go to the guest; nothing is echoed.
    terminal.type([0x09, 0x03, 0x13, 0x0D, 0x04])
    #expect(run.status() == 0)
    let text = terminal.read(until: "\"hash\":") + terminal.read(until: "}")
    #expect(isIntact(text, [0x09, 0x03, 0x13, 0x0D, 0x04]))
    #expect(terminal.settings.c_lflag == before.c_lflag)
    #expect(terminal.settings.c_iflag == before.c_iflag)
  }

  @Test("100 000 pasted bytes arrive whole")
  func paste() throws {
    let terminal = try PseudoTerminal()
    let bytes = pattern(100_000).filter { $0 != 0x01 }
    let run = try ConsoleRun("program=console receive=\(bytes.count)", input: terminal.guest, output: terminal.guest)
    terminal.read(until: "\"ready\",\"receive\":")
    terminal.type(bytes)
    let text = terminal.read(until: "\"hash\":") + terminal.read(until: "}")
    #expect(run.status() == 0)
    #expect(isIntact(text, bytes))
  }

  @Test("Ctrl-A x ends the machine, and Ctrl-A h lists the keys")
  func keys() throws {
    let terminal = try PseudoTerminal()
    let run = try ConsoleRun("program=console receive=1000", input: terminal.guest, output: terminal.guest)
    terminal.read(until: "\"ready\",\"receive\":")
    terminal.type([0x01, 0x68])
    terminal.read(until: "Ctrl-A x    end the machine")
    terminal.type([0x01, 0x78])
    #expect(run.status() == 0)
  }

  @Test("Ctrl-A c opens and closes a monitor over the console; Ctrl-A Ctrl-A sends Ctrl-A to the guest")
  func monitor() throws {
    let terminal = try PseudoTerminal()
    let run = try ConsoleRun("program=console receive=2", input: terminal.guest, output: terminal.guest)
    terminal.read(until: "\"ready\",\"receive\":")
    terminal.type([0x01, 0x63])
    terminal.read(until: "(swiftlet) ")
    terminal.type(Array("infx".utf8) + [0x7F] + Array("o\r".utf8))
    terminal.read(until: " exits")
    terminal.type(Array("nonsense\r".utf8))
    terminal.read(until: "Unknown command 'nonsense'. Try: help")
    terminal.type(Array("stop\r".utf8))
    terminal.read(until: "stop\r\n(swiftlet) ")
    // The paused guest answers nothing; the bytes wait in the serial port.
    terminal.type([0x01, 0x63])
    terminal.read(until: "\r\n")
    terminal.type([0x41, 0x01, 0x01])
    #expect(!terminal.isReadable(within: 300_000))
    terminal.type([0x01, 0x63] + Array("cont\r".utf8))
    terminal.read(until: "cont\r\n")
    #expect(isIntact(terminal.read(until: "\"hash\":") + terminal.read(until: "}"), [0x41, 0x01]))
    #expect(run.status() == 0)
  }

  @Test("SIGTERM ends the run while the console blocks in a read, as if another process took the input")
  func waitingRead() throws {
    let terminal = try PseudoTerminal()
    let run = try ConsoleRun("program=console receive=1000", input: terminal.guest, output: terminal.guest)
    terminal.read(until: "\"ready\",\"receive\":")
    // A read now blocks for 255 bytes or a pause of 25.5 s (termios(3)), but poll(2) reports the first byte.
    terminal.setReads(minimum: 255, tenths: 255)
    terminal.type([0x41])
    usleep(300_000)
    #expect(run.process.isRunning)
    run.process.terminate()
    for _ in 0..<2000 where run.process.isRunning { usleep(5000) }
    #expect(!run.process.isRunning, "the run ends before the read would")
    #expect(run.status() == 0)
  }

  @Test("a signal that kills swiftlet leaves the terminal restored", arguments: [SIGILL, SIGBUS, SIGSEGV])
  func killed(signal: Int32) throws {
    let terminal = try PseudoTerminal()
    let before = terminal.settings
    let run = try ConsoleRun("program=console receive=5", input: terminal.guest, output: terminal.guest)
    terminal.read(until: "\"ready\",\"receive\":")
    #expect(terminal.settings.c_lflag != before.c_lflag)
    kill(run.process.processIdentifier, signal)
    #expect(run.status() == 128 + signal)
    #expect(terminal.settings.c_lflag == before.c_lflag)
  }
}

/// A terminal whose keyboard and screen the test controls.
private final class PseudoTerminal {
  private let keyboard: Int32
  private let descriptor: Int32

  init() throws {
    keyboard = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    var (isLocked, number): (Int32, UInt32) = (0, 0)
    // TIOCSPTLCK and TIOCGPTN.
    clinux_ioctl_pointer(keyboard, 0x4004_5431, &isLocked)
    clinux_ioctl_pointer(keyboard, 0x8004_5430, &number)
    descriptor = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
    try #require(keyboard >= 0 && descriptor >= 0)
  }

  deinit {
    close(keyboard)
    close(descriptor)
  }

  /// The other end, for a process to use as its standard descriptors.
  var guest: FileHandle { FileHandle(fileDescriptor: descriptor, closeOnDealloc: false) }

  var settings: termios {
    var settings = termios()
    tcgetattr(descriptor, &settings)
    return settings
  }

  /// Sets VMIN and VTIME.
  func setReads(minimum: UInt8, tenths: UInt8) {
    var settings = settings
    (settings.c_cc.6, settings.c_cc.5) = (minimum, tenths)
    tcsetattr(descriptor, TCSANOW, &settings)
  }

  func type(_ bytes: [UInt8]) {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes { write(keyboard, $0.baseAddress, min($0.count, 1024)) }
      guard count > 0 else {
        Issue.record("the terminal accepts no more input: \(errno)")
        return
      }
      done += count
    }
  }

  /// Whether output appears on the screen within so many microseconds.
  func isReadable(within microseconds: Int32) -> Bool {
    var ready = pollfd(fd: keyboard, events: Int16(POLLIN), revents: 0)
    return poll(&ready, 1, microseconds / 1000) > 0
  }

  /// Reads the screen output since the last call, until it ends with `text`, for at most 60 s.
  @discardableResult
  func read(until text: String) -> String {
    var seen: [UInt8] = []
    let end = Date(timeIntervalSinceNow: 60)
    while !String(decoding: seen, as: UTF8.self).hasSuffix(text) {
      var ready = pollfd(fd: keyboard, events: Int16(POLLIN), revents: 0)
      guard poll(&ready, 1, 1000) >= 0, Date() < end else {
        Issue.record("'\(text)' is not in: \(String(decoding: seen, as: UTF8.self))")
        break
      }
      var byte: UInt8 = 0
      if ready.revents & Int16(POLLIN) != 0, Glibc.read(keyboard, &byte, 1) == 1 { seen.append(byte) }
    }
    return String(decoding: seen, as: UTF8.self)
  }
}
