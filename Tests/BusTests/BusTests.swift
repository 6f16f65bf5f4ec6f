import Bus
import Synchronization
import TestSupport
import Testing

/// Registers that record every access.
final class RecordedTarget: BusTarget {
  private let state = Mutex<[(region: Int, offset: UInt64, width: Int, value: UInt64?)]>([])
  var accesses: [(region: Int, offset: UInt64, width: Int, value: UInt64?)] { state.withLock { $0 } }
  func read(_ access: BusAccess) -> UInt64 {
    state.withLock { $0.append((access.region, access.offset, access.width, nil)) }
    return 0x1122_3344_5566_7788 &+ access.offset
  }
  func write(_ access: BusAccess, _ value: UInt64) {
    state.withLock { $0.append((access.region, access.offset, access.width, value)) }
  }
}

private final class Observer: BusObserver {
  private let state = Mutex<[String]>([])
  var events: [String] { state.withLock { $0 } }
  func mapped(_ range: BusRange) { state.withLock { $0.append("+\(range.name)") } }
  func willUnmap(_ range: BusRange) { state.withLock { $0.append("-\(range.name)") } }
}

/// Holds one write back, and applies it when a range is removed.
private final class LateWrite: BusObserver {
  private let bus: Bus
  init(_ bus: Bus) { self.bus = bus }
  func mapped(_ range: BusRange) {}
  func willUnmap(_ range: BusRange) { bus.write(.memory, range.base + 8, width: 4, 0x55) }
}

@Suite("The bus")
struct BusTests {
  let bus = Bus()
  let target = RecordedTarget()

  private func range(_ name: String, _ base: UInt64, _ size: UInt64, _ space: AddressSpaceKind = .memory) -> BusRange {
    BusRange(name, space, at: base, size: size, target: target, region: 3)
  }

  @Test("an access finds the range that contains it, in its address space")
  func finds() {
    #expect(bus.map(range("a", 0x1000, 0x100)))
    #expect(bus.map(range("b", 0x2000, 0x100)))
    #expect(bus.map(range("p", 0x1000, 4, .port)))
    #expect(bus.read(.memory, 0x10FF, width: 1) == 0x87)
    #expect(bus.read(.memory, 0x1100, width: 4) == 0xFFFF_FFFF)
    #expect(bus.read(.memory, 0xFFF, width: 2) == 0xFFFF)
    #expect(bus.read(.port, 0x1004, width: 1) == 0xFF)
    bus.write(.port, 0x1003, width: 1, 0xAB)
    bus.write(.memory, 0x5000, width: 8, 1)
    #expect(target.accesses.map(\.offset) == [0xFF, 3])
    #expect(target.accesses.last! == (3, 3, 1, 0xAB))
    #expect(bus.range(.memory, at: 0x2000)?.name == "b")
    #expect(bus.range(.memory, at: .max) == nil)
  }

  @Test("a held write reaches the device that owned the range, not the next owner")
  func lateWrite() {
    let next = RecordedTarget()
    let first = range("first", 0x1000, 0x100)
    bus.map(first)
    bus.observe(LateWrite(bus))
    bus.unmap(first)
    bus.map(BusRange("next", .memory, at: 0x1000, size: 0x100, target: next, region: 0))
    #expect(target.accesses.map(\.value) == [0x55])
    #expect(next.accesses.isEmpty)
    // The observer does not see an unmap of a range that is not mapped.
    bus.unmap(first)
    #expect(target.accesses.count == 1)
  }

  @Test("overlaps, empty ranges and ranges that wrap are refused; a range that ends at 2^64 is not")
  func refuses() {
    #expect(bus.map(range("a", 0x1000, 0x100)))
    for (base, size) in [(0x1000, 0x100), (0x10FF, 1), (0xFFF, 2), (0, 0x10000), (0x1050, 1)] as [(UInt64, UInt64)] {
      #expect(!bus.map(range("x", base, size)), "\(base)")
    }
    #expect(!bus.map(range("x", 0x3000, 0)))
    #expect(!bus.map(range("x", .max, 2)))
    #expect(bus.map(range("end", .max - 15, 16)))
    #expect(bus.range(.memory, at: .max)?.name == "end")
    #expect(bus.map(range("before", 0xFFF, 1)))
    #expect(bus.map(range("after", 0x1100, 1)))
  }

  @Test("an observer sees existing ranges, and each range that is mapped or unmapped")
  func observes() {
    let first = range("a", 0x1000, 0x100)
    bus.map(first)
    let observer = Observer()
    bus.observe(observer)
    bus.map(range("x", 0x1000, 1))
    bus.map(range("b", 0x2000, 1, .port))
    bus.unmap(first)
    bus.unmap(first)
    #expect(observer.events == ["+a", "+b", "-a"])
  }

  @Test("string instructions access every element at one address while the buffer advances")
  func blocks() {
    bus.map(range("p", 0x1F0, 8, .port))
    var buffer: [UInt8] = [1, 2, 3, 4, 5, 6]
    buffer.withUnsafeBytes { _ = bus.write(.port, 0x1F0, width: 2, from: $0) }
    #expect(target.accesses.map(\.value) == [0x0201, 0x0403, 0x0605])
    #expect(target.accesses.allSatisfy { $0.offset == 0 && $0.width == 2 })
    buffer.withUnsafeMutableBytes { _ = bus.read(.port, 0x1F0, width: 2, into: $0) }
    #expect(buffer == [0x88, 0x77, 0x88, 0x77, 0x88, 0x77])
    buffer.withUnsafeMutableBytes { _ = bus.read(.port, 0x300, width: 2, into: $0) }
    #expect(buffer == [UInt8](repeating: 0xFF, count: 6))
  }

  @Test("a shared line is asserted while any of its inputs is")
  func sharedLine() {
    let output = RecordedLine()
    let line = SharedInterruptLine(.sharedGSI, output: output)
    let (first, second) = (line.makeInput(), line.makeInput())
    first.set(asserted: true)
    second.set(asserted: true)
    first.set(asserted: false)
    first.set(asserted: false)
    #expect(output.changes == [true])
    second.set(asserted: false)
    #expect(output.changes == [true, false])
  }
}
