import Backends
import Bus
import DeviceSupport
import Devices
import EventLoop
import Synchronization

/// The devices of a PC's board: UART, clock, keyboard controller, ACPI's registers, reset and debug ports.
final class PlatformGuest: Guest {
  let board: Board
  private let serial: Serial16550
  private let output = Output()
  private let clock: RealTimeClock
  private let fixedHardware: ACPIFixedHardware
  private let lines = (0..<5).map { _ in RecordedLine() }
  private let bridge = PIIX3Bridge()

  /// The host's side of COM1, which is sometimes full.
  private final class Output: SerialBackend {
    private struct State {
      var bytes = 0
      var hasRoom = true
      var waiting: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    func transmit(_ byte: UInt8) { state.withLock { $0.bytes += 1 } }
    var hasRoom: Bool { state.withLock { $0.hasRoom } }
    func onRoom(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.waiting = body } }

    func set(hasRoom: Bool) {
      let waiting = state.withLock { state in
        state.hasRoom = hasRoom
        return hasRoom ? state.waiting : nil
      }
      waiting?()
    }
  }

  private static let windows: [(base: UInt64, size: UInt64)] = [
    (0x3F8, 8), (0x70, 2), (0x60, 5), (0x600, 12), (0xCF8, 8), (0x92, 1), (0x505, 1), (0x80, 1), (0xF4, 4),
  ]

  /// - Parameter first: the word selects the host's time when the machine starts, in units of 2^8 seconds.
  init(_ first: Operation) throws {
    board = try Board(
      windows: Self.windows.map { Board.Window(space: .port, base: $0.base, size: $0.size) },
      registers: (0..<8).map { (0, $0, 1) } + [(1, 0, 1), (1, 1, 1), (2, 0, 1), (2, 4, 1), (2, 4, 1)]
        + [(3, 0, 2), (3, 2, 2), (3, 4, 2), (3, 8, 4)])
    let bench = board.bench
    serial = Serial16550(line: lines[0], backend: output)
    serial.attach(to: bench.bus)
    let time = bench.clock
    let start = Int64(first.word) << 8 - (first.selector & 1 == 0 ? 0 : 1 << 39)
    clock = RealTimeClock(line: lines[1], loop: bench.loop, memorySize: Board.memorySize) {
      let now = Int64(time.now)
      return (start + now / 1_000_000_000, now % 1_000_000_000)
    }
    clock.attach(to: bench.bus)
    KeyboardController(keyboardLine: lines[2], auxiliaryLine: lines[3], reset: {}).attach(to: bench.bus)
    fixedHardware = ACPIFixedHardware(line: lines[4], loop: bench.loop, powerOff: {})
    fixedHardware.attach(to: bench.bus)
    ResetControl(reset: {}).attach(to: bench.bridge)
    FastReset(reset: {}).attach(to: bench.bus)
    PanicDevice(panicked: {}).attach(to: bench.bus)
    PostCode().attach(to: bench.bus)
    DebugExit(ended: { _ in }).attach(to: bench.bus)
    bench.bridge.plug(bridge, device: 1)
    bridge.observeRoutes { _, _ in }
  }

  deinit {
    clock.detach()
    fixedHardware.detach()
  }

  func perform(_ operation: Operation) {
    switch operation.code {
    case 0, 1:
      board.bench.outb(0x70, operation.selector)
      board.bench.outb(0x71, operation.byte(0))
    case 2:
      board.bench.outb(0x70, operation.selector)
      _ = board.bench.inb(0x71)
    case 3:
      board.bench.outb(0x64, operation.selector)
      board.bench.outb(0x60, operation.byte(0))
    case 4:
      board.bench.outb(0x64, operation.selector)
      _ = board.bench.inb(0x60)
    case 5:
      let bytes = [UInt8](repeating: operation.byte(0), count: Int(operation.half & 0x1FFF))
      let room = serial.inputRoom
      check(serial.receive(bytes) <= room, "the UART took more bytes than it has room for")
    case 6: output.set(hasRoom: operation.selector & 1 == 0)
    case 7: fixedHardware.pressPowerButton()
    default:
      // A byte at a time, as drivers of the UART do.
      board.bench.outb(0x3F8 + UInt64(operation.selector & 7), operation.byte(0))
      _ = board.bench.inb(0x3F8 + UInt64(operation.selector >> 3 & 7))
    }
  }

  /// The UART has a working scratch register, and the clock a legal time.
  func checkRecovery() {
    let bench = board.bench
    output.set(hasRoom: true)
    bench.outb(0x3FB, 0x03)
    bench.outb(0x3FF, 0x5A)
    check(bench.inb(0x3FF) == 0x5A, "the UART's scratch register does not keep its byte")
    // Register A: the divider runs. Register B: binary, 24 hours, no interrupt, no SET.
    for (register, value) in [(0x0A, 0x26), (0x0B, 0x06)] as [(UInt8, UInt8)] {
      bench.outb(0x70, register)
      bench.outb(0x71, value)
    }
    bench.advance(by: 2_000_000_000)
    for (register, limit) in [(0, 59), (2, 59), (4, 23), (7, 31), (8, 12), (9, 99)] as [(UInt8, UInt8)] {
      bench.outb(0x70, register)
      let value = bench.inb(0x71)
      check(value <= limit, "register \(register) of the clock reads \(value)")
    }
  }
}
