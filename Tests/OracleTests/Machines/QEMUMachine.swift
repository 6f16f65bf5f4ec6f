import Failures
import Foundation
import Synchronization

/// One QEMU for all scripts of a suite, reset before each of them. Only one test may use it at a time.
final class QEMUMachine: @unchecked Sendable {
  private let turn = Mutex(())
  private var process: QEMUProcess?
  private var observations: [Observation] = []
  /// RCTL was written, so QEMU holds frames back for a second of virtual time.
  private var holdsFrames = false

  init() {}

  /// Plays a script from reset.
  func play(_ script: Script) throws -> [Observation] {
    try turn.withLock { _ in
      do {
        let process = try self.process ?? QEMUProcess()
        self.process = process
        try reset(process)
        for step in script.steps { try play(step, process) }
        try process.flush()
        // A frame that QEMU did not read would reach the next script.
        if process.network.isWaiting { self.process = nil }
        return observations
      } catch {
        // The next script gets a new QEMU.
        process = nil
        throw error
      }
    }
  }

  // MARK: Reset

  private func reset(_ process: QEMUProcess) throws {
    observations = []
    holdsFrames = false
    // The PIIX3's reset control. QEMU resets from its main loop, some time after its reply.
    process.send("outl 0xcf8 0x80000860")
    process.send("outl 0xcfc 0x0")
    process.send("outb 0xcf9 0x6")
    try process.flush()
    var isReset = false
    while !isReset {
      process.send("outl 0xcf8 0x80000860")
      process.send("inl 0xcfc") { isReset = $0 == "0x80808080" }
      try process.flush()
    }
    // After a reset, channel 0 of the 8254 would advance virtual time without pause.
    process.send("outb 0x43 0x30")
    // A reset does not clear RAM, and our machine starts with zeroed RAM.
    process.send("memset 0x0 0xa0000 0x0")
    process.send("memset 0x100000 0xf00000 0x0")
    for step in Firmware.steps { try play(step, process) }
    try process.flush()
    try process.tick()
    while process.network.next() != nil {}
    for (index, disk) in OracleDisk.all.enumerated() {
      try Self.fill(process.diskPath(index), sectors: min(disk.sectorCount, OracleDisk.patterned))
    }
  }

  private static func fill(_ path: String, sectors: UInt64) throws {
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    defer { try? file.close() }
    try file.write(contentsOf: Data((0..<sectors).flatMap { OracleDisk.initial($0) }))
  }

  // MARK: Steps

  private func play(_ step: Step, _ process: QEMUProcess) throws {
    switch step {
    case .write(let space, let address, let width, let value):
      process.send("\(Self.name(space, width, "out", "write")) \(hex(address)) \(hex(value))")
      if space == .memory, address == Firmware.nic + 0x100 { holdsFrames = true }
    case .read(let space, let address, let width, _, _):
      process.send("\(Self.name(space, width, "in", "read")) \(hex(address))") { [unowned self] in
        try observations.append(.value(Self.number($0)))
      }
    case .readWords(let port, let count, _): try readWords(port, count, process)
    case .writeWords(let port, let bytes):
      for index in 0..<bytes.count / 2 {
        process.send("outw \(hex(port)) \(hex(UInt64(bytes[2 * index]) | UInt64(bytes[2 * index + 1]) << 8))")
      }
    case .store(let address, let bytes):
      guard !bytes.isEmpty else { return }
      process.send("b64write \(hex(address)) \(bytes.count) \(Data(bytes).base64EncodedString())")
    case .load(let address, let count, _):
      process.send("b64read \(hex(address)) \(count)") { [unowned self] in
        observations.append(.bytes(Array(Data(base64Encoded: String($0)) ?? Data())))
      }
    case .settle(let ticks): try settle(process, ticks: ticks)
    case .level(let interrupt, _):
      try process.flush()
      observations.append(.value(process.levels[interrupt] ? 1 : 0))
    case .receive(let frame):
      try process.flush()
      try process.network.send(frame)
      try wait { !process.network.isWaiting }
      try process.tick()
    case .sent:
      try process.flush()
      observations.append(.frames(try sentFrames(process)))
    case .disk(let channel, let drive, let sector, let count, _):
      try process.flush()
      let index = OracleDisk.all.firstIndex { $0.channel == channel && $0.drive == drive } ?? 0
      let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: process.diskPath(index)))
      defer { try? file.close() }
      try file.seek(toOffset: sector * 512)
      observations.append(.bytes(Array(try file.read(upToCount: count) ?? Data())))
    }
  }

  /// Reads words one by one, because a drive loads the next block only after the previous one was read.
  private func readWords(_ port: UInt64, _ count: Int, _ process: QEMUProcess) throws {
    var bytes: [UInt8] = []
    for index in 0..<count {
      process.send("inw \(hex(port))") { bytes += littleEndian(try Self.number($0), 2) }
      guard index % 256 == 255 else { continue }
      try process.flush()
      try settleDisks(process)
    }
    try process.flush()
    observations.append(.bytes(bytes))
  }

  /// The socket holds ten frames. QEMU sends the others from its main loop once there is room.
  private func sentFrames(_ process: QEMUProcess) throws -> [[UInt8]] {
    var frames: [[UInt8]] = []
    var emptyRounds = 0
    while emptyRounds < (frames.count < 10 ? 1 : 20) {
      emptyRounds += 1
      while let frame = process.network.next() {
        frames.append(frame)
        emptyRounds = 0
      }
      process.send("inb 0x80")
      try process.flush()
      if frames.count >= 10 { usleep(500) }
    }
    return frames
  }

  private static func name(_ space: Space, _ width: Int, _ port: String, _ memory: String) -> String {
    let suffix = [1: "b", 2: "w", 4: "l", 8: "q"][width] ?? "b"
    return (space == .port ? port : memory) + suffix
  }

  private static func number(_ text: Substring) throws -> UInt64 {
    guard let value = UInt64(text.dropFirst(2), radix: 16) else {
      throw Failure("read QEMU's reply", cause: "\(text) is not a number")
    }
    return value
  }

  // MARK: Settling

  private func settle(_ process: QEMUProcess, ticks: Int) throws {
    try process.flush()
    try settleDisks(process)
    for _ in 0..<ticks { try process.tick() }
    // One second, as ticks.
    if holdsFrames { for _ in 0..<19 { try process.tick() } }
    holdsFrames = false
  }

  /// Waits until no drive is busy and no DMA transfer runs. During DMA, QEMU shows DRQ without BSY.
  private func settleDisks(_ process: QEMUProcess) throws {
    try wait {
      var isBusy = false
      for (control, engine) in [("0x3f6", "0xc402"), ("0x376", "0xc40a")] {
        var status: UInt64 = 0
        process.send("inb \(control)") { status = try Self.number($0) }
        process.send("inb \(engine)") {
          isBusy = try isBusy || status & 0x80 != 0 || status & 0x08 != 0 && Self.number($0) & 0x01 != 0
        }
      }
      try process.flush()
      return !isBusy
    }
  }

  /// Polls for at most five seconds. A condition that takes longer never comes true, and the comparison reports that.
  private func wait(until condition: () throws -> Bool) throws {
    let end = Date().addingTimeInterval(5)
    while try !condition(), Date() < end { usleep(200) }
  }
}
