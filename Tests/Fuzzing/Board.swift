import Bus
import DeviceSupport
import Devices
import GuestMemory
import Registers

/// A small machine without a CPU, its window of registers, and the operations that every device target has.
///
/// Guest memory has fixed places: rings from 64 KiB on, data from 512 KiB on.
final class Board {
  /// A range of registers that an operation may access at any offset.
  struct Window {
    var space: AddressSpaceKind
    var base: UInt64
    var size: UInt64
  }

  /// Below 2 MiB, so that the host does not zero a huge page for each input.
  static let memorySize = 1 << 20
  static let rings: UInt64 = 0x1_0000
  static let data: UInt64 = 0x8_0000
  /// Codes below it are the operations of `perform`.
  static let firstOwnCode: UInt8 = 12
  /// More turns than the longest legal rings need; a loop that takes more is a finding.
  private static let turnLimit = 20_000

  let bench: DeviceBench
  private let guardPages: GuardPages
  let windows: [Window]
  /// Registers that matter, by window and offset.
  let registers: [(window: Int, offset: UInt64, width: Int)]
  private var scratch = [UInt8](repeating: 0, count: 1024)

  init(windows: [Window], registers: [(window: Int, offset: UInt64, width: Int)]) throws {
    bench = try DeviceBench(memorySize: Self.memorySize)
    guardPages = GuardPages(around: bench.memory)
    self.windows = windows
    self.registers = registers
  }

  /// Performs an operation that does not depend on the device. Returns false for other codes.
  func perform(_ operation: Operation) -> Bool {
    let window = windows[Int(operation.selector & 0x3F) % windows.count]
    switch operation.code {
    case 0:
      bench.bus.write(
        window.space, window.base + UInt64(operation.half) % window.size, width: operation.width, operation.long)
    case 1: _ = bench.bus.read(window.space, window.base + UInt64(operation.half) % window.size, width: operation.width)
    case 2, 3:
      guard !registers.isEmpty else { return true }
      let register = registers[Int(operation.selector) % registers.count]
      bench.bus.write(address(register).space, address(register).address, width: register.width, operation.long)
    case 4:
      guard !registers.isEmpty else { return true }
      let register = registers[Int(operation.selector) % registers.count]
      _ = bench.bus.read(address(register).space, address(register).address, width: register.width)
    case 5: bench.memory.store(operation.word, at: place(operation.selector, operation.half))
    case 6: repeatAccess(operation, window)
    case 7: writeConfiguration(operation)
    case 8: _ = readConfiguration(operation)
    case 9: bench.loop.runOnce()
    case 10: settle()
    case 11:
      bench.clock.advance(by: UInt64(operation.word) << UInt64(operation.selector & 15))
      settle()
    default: return false
    }
    return true
  }

  private func address(_ register: (window: Int, offset: UInt64, width: Int)) -> (
    space: AddressSpaceKind, address: UInt64
  ) {
    let window = windows[register.window]
    return (window.space, window.base + register.offset)
  }

  /// A guest address: mostly of rings and data, otherwise around the end of memory, beyond it or in a BAR.
  func place(_ selector: UInt8, _ offset: UInt16) -> UInt64 {
    let offset = UInt64(offset)
    switch selector & 0x0F {
    case 0...7: return Self.data + UInt64(selector >> 4) << 14 + offset
    case 8...11: return Self.rings + UInt64(selector >> 4) << 14 + offset
    case 12: return UInt64(Self.memorySize) - offset
    case 13: return 0xE000_0000 + offset
    case 14: return UInt64.max - offset
    default: return offset << UInt64(selector >> 2)
    }
  }

  /// `rep ins` and `rep outs`.
  private func repeatAccess(_ operation: Operation, _ window: Window) {
    let address = window.base + UInt64(operation.half) % window.size
    let count = max(1, Int(operation.wordLow) % (scratch.count / operation.width)) * operation.width
    scratch.withUnsafeMutableBytes { bytes in
      let part = UnsafeMutableRawBufferPointer(rebasing: bytes[0..<count])
      if operation.wordHigh & 1 == 0 {
        _ = bench.bus.read(window.space, address, width: operation.width, into: part)
      } else {
        _ = bench.bus.write(window.space, address, width: operation.width, from: UnsafeRawBufferPointer(part))
      }
    }
  }

  /// Device 4, functions 0 and 1, and device 1: the functions that targets have.
  private static let functions: [UInt16] = [0x2000, 0x2100, 0x0800]

  /// Selects a register by port 0xCF8: of a function that there is, or of any if bit 5 of the selector is set.
  private func select(_ operation: Operation) {
    let known = Self.functions[Int(operation.half >> 8) % Self.functions.count] | operation.half & 0xFC
    let place = operation.selector & 0x20 == 0 ? known : operation.half & 0xFFFC
    bench.outl(0xCF8, 0x8000_0000 | UInt32(place))
  }

  private func writeConfiguration(_ operation: Operation) {
    select(operation)
    bench.bus.write(
      .port, 0xCFC + UInt64(operation.half & 3), width: min(operation.width, 4), UInt64(operation.word))
  }

  private func readConfiguration(_ operation: Operation) -> UInt64 {
    select(operation)
    return bench.bus.read(.port, 0xCFC + UInt64(operation.half & 3), width: min(operation.width, 4))
  }

  /// Runs the loop until nothing more is due.
  func settle() {
    var turns = 0
    while bench.loop.runOnce() {
      turns += 1
      check(turns < Self.turnLimit, "the event loop does not come to rest")
    }
  }

  /// Gives `function` its addresses, decoding and bus mastering again, whatever the guest wrote.
  func restore(_ function: PCIFunction) {
    function.writeConfiguration(0x04, 0, width: 2)
    for (index, bar) in function.baseAddresses.enumerated() {
      guard let bar else { continue }
      function.assign(
        bar: index, to: bar.kind == .port ? 0xC000 + 0x100 * UInt32(index) : 0xE000_0000 + UInt32(index) << 20)
    }
    function.writeConfiguration(0x04, 0x0007, width: 2)
  }
}
