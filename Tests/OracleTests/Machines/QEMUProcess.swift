import Failures
import Foundation
import TestSupport

/// A QEMU whose machine `pc` is controlled over the qtest protocol. Its CPU halts at the reset vector.
///
/// With `-icount sleep=off`, virtual time jumps to the next due timer, so a device's delay costs no real time. Commands
/// are collected and sent together. Replies come in order, between interrupt messages.
final class QEMUProcess {
  private let folder: TemporaryFolder
  private let process = Process()
  /// QEMU's shell waits for the end of this pipe, and then kills QEMU. The pipe also ends when this process dies.
  private let leash = Pipe()
  private var connection: Int32 = -1
  private var input: [UInt8] = []
  private var commands: [UInt8] = []
  private var handlers: [(Substring) throws -> Void] = []
  /// Levels at the inputs of the I/O APIC, and how often input 0 (the 8254) rose.
  private(set) var levels = [Bool](repeating: false, count: 24)
  private var timerRises = 0
  let network: OracleSocket

  /// The time limit of a send or read, in milliseconds. After that, QEMU counts as dead.
  private static let patience: Int32 = 20_000

  init() throws {
    folder = try TemporaryFolder(isRemovedAtEnd: true)
    network = try OracleSocket(local: folder.file("host"), remote: folder.file("guest"))
    // `cli; hlt; jmp` at the reset vector.
    var rom = [UInt8](repeating: 0xF4, count: 65_536)
    rom.replaceSubrange(0xFFF0..<0xFFF4, with: [0xFA, 0xF4, 0xEB, 0xFC])
    try Data(rom).write(to: URL(fileURLWithPath: folder.file("rom")))
    for (index, disk) in OracleDisk.all.enumerated() {
      _ = try folder.makeDiskImage("disk\(index)", bytes: Int(disk.sectorCount) * 512)
    }
    let listener = try OracleSocket.listen(folder.file("qtest"))
    defer { close(listener) }
    try start()
    connection = try OracleSocket.accept(listener, milliseconds: Self.patience)
    send("irq_intercept_in ioapic")
    try flush()
  }

  deinit {
    if connection >= 0 { close(connection) }
    try? leash.fileHandleForWriting.close()
  }

  private func start() throws {
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    // A terminal's signals reach the shell too. It ignores them, because it must outlive QEMU.
    let script = "trap '' INT TERM HUP; qemu-system-x86_64 \"$@\" & pid=$!; read -r line; kill -KILL $pid"
    process.arguments = ["-c", script, "sh"] + arguments
    process.standardInput = leash
    process.standardOutput = FileHandle.nullDevice
    _ = FileManager.default.createFile(atPath: folder.file("errors"), contents: nil)
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: folder.file("errors")))
    try process.run()
  }

  private var arguments: [String] {
    var words = [
      "-accel", "tcg", "-icount", "shift=0,sleep=off", "-M", "pc,hpet=off", "-m", "16", "-bios", folder.file("rom"),
      "-nodefaults", "-no-user-config", "-display", "none", "-serial", "null", "-rtc",
      "base=2026-03-01T23:59:58,clock=vm", "-qtest", "unix:\(folder.file("qtest"))", "-qtest-log", "/dev/null",
    ]
    for (index, disk) in OracleDisk.all.enumerated() {
      words += ["-drive", "if=none,id=d\(index),format=raw,file=\(folder.file("disk\(index)"))"]
      words += [
        "-device", "ide-hd,drive=d\(index),bus=ide.\(disk.channel),unit=\(disk.drive),serial=\(disk.serial)",
      ]
    }
    words += [
      "-netdev",
      "dgram,id=n0,local.type=unix,local.path=\(folder.file("guest")),remote.type=unix,remote.path=\(folder.file("host"))",
      "-device", "e1000,netdev=n0,mac=52:54:00:12:34:56,romfile=,addr=4",
    ]
    return words
  }

  func diskPath(_ index: Int) -> String { folder.file("disk\(index)") }

  // MARK: Commands

  /// Adds a command to the batch. `handler` gets the text after `OK ` in the reply.
  func send(_ command: String, _ handler: @escaping (Substring) throws -> Void = { _ in }) {
    commands += Array(command.utf8) + [0x0A]
    handlers.append(handler)
  }

  /// Sends the batch and waits for all replies.
  func flush() throws {
    var (sent, answered) = (0, 0)
    let waiting = handlers
    let bytes = commands
    (commands, handlers) = ([], [])
    while answered < waiting.count {
      while let line = nextLine() {
        if note(line) { continue }
        guard line.hasPrefix("OK"), answered < waiting.count else { throw failure("answered \(line)") }
        try waiting[answered](line.dropFirst(3)[...])
        answered += 1
      }
      if answered < waiting.count { try exchange(bytes, &sent) }
    }
  }

  /// Lets 55 ms of virtual time pass, by a one-shot timer of the 8254. Timers that become due meanwhile run.
  func tick() throws {
    let before = timerRises
    for command in ["outb 0x43 0x30", "outb 0x40 0xff", "outb 0x40 0xff"] { send(command) }
    try flush()
    var nothing = 0
    while timerRises == before {
      while let line = nextLine() { _ = note(line) }
      if timerRises == before { try exchange([], &nothing) }
    }
  }

  /// Records the level in an interrupt message; false for any other line.
  private func note(_ line: String) -> Bool {
    guard line.hasPrefix("IRQ ") else { return false }
    let words = line.split(separator: " ")
    if words.count == 3, let pin = Int(words[2]), levels.indices.contains(pin) {
      levels[pin] = words[1] == "raise"
      if pin == 0, levels[pin] { timerRises += 1 }
    }
    return true
  }

  // MARK: Bytes

  private func nextLine() -> String? {
    guard let end = input.firstIndex(of: 0x0A) else { return nil }
    defer { input.removeFirst(end + 1) }
    return String(decoding: input[..<end], as: UTF8.self)
  }

  /// Waits until QEMU answers or accepts more of `bytes`.
  private func exchange(_ bytes: [UInt8], _ sent: inout Int) throws {
    var entry = pollfd(fd: connection, events: Int16(POLLIN) | (sent < bytes.count ? Int16(POLLOUT) : 0), revents: 0)
    guard poll(&entry, 1, Self.patience) > 0 else { throw failure("gives no answer") }
    if entry.revents & Int16(POLLOUT) != 0 {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
      }
      if count > 0 { sent += count }
    }
    guard entry.revents & ~Int16(POLLOUT) != 0 else { return }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = recv(connection, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    guard count > 0 || (count < 0 && errno == EAGAIN) else { throw failure("ended") }
    if count > 0 { input += buffer[..<count] }
  }

  private func failure(_ what: String) -> Failure {
    let errors = (try? String(contentsOfFile: folder.file("errors"), encoding: .utf8)) ?? ""
    return Failure("play a script to QEMU", cause: "it \(what); \(errors)")
  }
}
