import Bus
import Synchronization
import Testing

/// Four byte registers that store their writes.
private final class FourBytes: ByteTarget {
  let bytes = Mutex<[UInt8]>([1, 2, 3, 4])
  func readByte(region: Int, offset: UInt64) -> UInt8 { bytes.withLock { $0[Int(offset)] } }
  func writeByte(region: Int, offset: UInt64, _ value: UInt8) { bytes.withLock { $0[Int(offset)] = value } }
  func byteCount(region: Int) -> UInt64 { 4 }
}

@Suite("Devices of byte registers")
struct ByteTargetTests {
  private let bus = Bus()
  private let target = FourBytes()

  init() { bus.map(BusRange("bytes", .port, at: 0x100, size: 4, target: target)) }

  @Test("a wide read is bytes at ascending ports, and ones beyond the range")
  func reads() {
    #expect(bus.read(.port, 0x101, width: 1) == 2)
    #expect(bus.read(.port, 0x101, width: 2) == 0x0302)
    #expect(bus.read(.port, 0x100, width: 4) == 0x0403_0201)
    #expect(bus.read(.port, 0x102, width: 4) == 0xFFFF_0403)
    #expect(bus.read(.port, 0x103, width: 8) == 0xFFFF_FFFF_FFFF_FF04)
  }

  @Test("writes beyond the range have no effect")
  func writes() {
    bus.write(.port, 0x102, width: 4, 0x4433_2211)
    #expect(target.bytes.withLock { $0 } == [1, 2, 0x11, 0x22])
    bus.write(.port, 0x100, width: 8, 0x8877_6655_4433_2211)
    #expect(target.bytes.withLock { $0 } == [0x11, 0x22, 0x33, 0x44])
  }

  @Test("rep outs writes every element to the same register")
  func block() {
    ([7, 8, 9] as [UInt8]).withUnsafeBytes { _ = bus.write(.port, 0x100, width: 1, from: $0) }
    #expect(target.bytes.withLock { $0 } == [9, 2, 3, 4])
  }
}
