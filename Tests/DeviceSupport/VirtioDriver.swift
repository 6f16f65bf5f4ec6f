import Bus

/// A virtio driver over PCI by literal offsets of BAR 0 (VIRTIO 1.2, 4.1.4.3): common configuration at 0, ISR at
/// 0x1000, the device's at 0x2000, doorbells at 0x3000.
package final class VirtioDriver {
  package let bench: DeviceBench
  package let base: UInt64
  package private(set) var rings: [SplitRingDriver] = []

  /// The address of its rings in guest memory.
  private let memory: UInt64

  package init(_ bench: DeviceBench, base: UInt64 = 0xE000_0000, memory: UInt64 = 0x10_0000) {
    self.bench = bench
    self.memory = memory
    self.base = base
  }

  package func read(_ offset: UInt64, width: Int) -> UInt64 { bench.bus.read(.memory, base + offset, width: width) }
  package func write(_ offset: UInt64, width: Int, _ value: UInt64) {
    bench.bus.write(.memory, base + offset, width: width, value)
  }

  package var status: UInt8 {
    get { UInt8(read(0x14, width: 1)) }
    set { write(0x14, width: 1, UInt64(newValue)) }
  }
  package var generation: UInt8 { UInt8(read(0x15, width: 1)) }
  /// Reading it clears it.
  package var isr: UInt8 { UInt8(read(0x1000, width: 1)) }
  package var needsReset: Bool { status & 0x40 != 0 }

  package var deviceFeatures: UInt64 {
    write(0x00, width: 4, 0)
    let low = read(0x04, width: 4)
    write(0x00, width: 4, 1)
    return low | read(0x04, width: 4) << 32
  }

  /// Bytes of the device's own configuration.
  package func configuration(_ offset: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(read(0x2000 + offset + UInt64($0), width: 1)) }
  }

  /// Sets ACKNOWLEDGE, DRIVER, the features and FEATURES_OK. Returns whether the device accepted the features.
  @discardableResult
  package func negotiate(_ features: UInt64) -> Bool {
    status = 0x01
    status = 0x03
    write(0x08, width: 4, 0)
    write(0x0C, width: 4, features & 0xFFFF_FFFF)
    write(0x08, width: 4, 1)
    write(0x0C, width: 4, features >> 32)
    status = 0x0B
    return status & 0x08 != 0
  }

  /// Sets queue `index` up and enables it.
  @discardableResult
  package func enableQueue(_ index: Int, size: UInt16, vector: UInt16? = nil) -> SplitRingDriver {
    let ring = SplitRingDriver(bench: bench, index: index, size: size, base: base, memory: memory)
    write(0x16, width: 2, UInt64(index))
    write(0x18, width: 2, UInt64(size))
    if let vector { write(0x1A, width: 2, UInt64(vector)) }
    write(0x20, width: 4, ring.descriptors & 0xFFFF_FFFF)
    write(0x24, width: 4, ring.descriptors >> 32)
    write(0x28, width: 8, ring.available)
    write(0x30, width: 8, ring.used)
    write(0x1C, width: 2, 1)
    return ring
  }

  /// Does all of 3.1.1: resets, negotiates VERSION_1 and `features`, enables `queues` queues, sets DRIVER_OK.
  package func start(_ features: UInt64 = 0, queues: Int, size: UInt16 = 16, vectors: [UInt16]? = nil) {
    status = 0
    negotiate(features | 1 << 32)
    rings = (0..<queues).map { enableQueue($0, size: size, vector: vectors?[$0]) }
    status = 0x0F
    bench.settle()
  }

  /// Programs and unmasks `count` vectors (table in BAR 1) and sets MSI-X Enable.
  package func enableMessages(_ function: PCIFunction, count: Int, table: UInt64 = 0xE010_0000) {
    for vector in 0..<UInt64(count) {
      bench.write32(table + 16 * vector, 0xFEE0_0000)
      bench.write32(table + 16 * vector + 8, 0x40 + UInt32(vector))
      bench.write32(table + 16 * vector + 12, 0)
    }
    function.setMessageControl(0x8000)
  }
}

extension PCIFunction {
  /// Offset of the capability with `id` by walking the list from 0x34; nil when there is none.
  package func capability(_ id: UInt8, where matches: (Int) -> Bool = { _ in true }) -> Int? {
    var offset = Int(readConfiguration(0x34, width: 1))
    for _ in 0..<48 where offset != 0 {
      if readConfiguration(offset, width: 1) == UInt32(id), matches(offset) { return offset }
      offset = Int(readConfiguration(offset + 1, width: 1))
    }
    return nil
  }

  package func setMessageControl(_ value: UInt16) {
    guard let offset = capability(0x11) else { return }
    writeConfiguration(offset + 2, UInt32(value), width: 2)
  }
}
